"""The kernels as torch operators: what their results look like, how to differentiate them, how they are started.

They are made with `torch.library.triton_op`, so torch.export keeps them as one node, and AOTInductor looks inside and puts
the compiled kernels into its package. Grids have one program too many, which does nothing: a grid must not be empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.library import register_autograd, triton_op, wrap_triton

from mhff.ops.native.operators import split_degrees
from mhff.ops.native.parts import Contraction, Convolution, Geometry
from mhff.ops.triton.contraction_code import ContractionCode
from mhff.ops.triton.convolution_code import ConvolutionCode
from mhff.ops.triton.geometry_code import EDGES_AT_ONCE, GeometryCode
from mhff.ops.triton.module import Tiles, load
from mhff.ops.triton.spline import Spline
