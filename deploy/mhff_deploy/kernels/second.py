"""Kernels of a lowered network in C++ that are differentiable twice, in float64.

They are those of programs, and what second derivatives need beside them from another library.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from mhff.model.acceleration import curvature_shapes
from mhff.model.mace import MACE
from mhff.ops.cpu.build import build
from mhff.ops.cpu.library import load
from mhff_deploy.kernels.cpu import CppKernels, compiler_reported
from mhff_deploy.kernels.second_convolution import SecondConvolution, TableArguments
from mhff_deploy.kernels.second_geometry import SecondGeometry
from mhff_deploy.kernels.shapes import network_shapes
from mhff_deploy.lowering.mixing import GateCall, gates_of
from mhff_deploy.lowering.reference import KernelEdges
from mhff_deploy.radial.networks import RadialTables


class SecondKernels(CppKernels):
    """`reference.Kernels`, differentiable twice."""

    shapes = staticmethod(network_shapes)

    def __init__(
        self,
        network: MACE,
        tables: RadialTables,
        folder: Path,
        say: Callable[[str], None] = lambda step: None,
    ) -> None:
        """Compile both libraries, which `say` announces, unless `folder` has them.

        `network`, `tables` and what is raised: see `CppKernels`.
        """
        super().__init__(network, tables, torch.float64, folder, say=say)
        shapes = curvature_shapes(network)
        with compiler_reported():  # beside the others
            library, self.second_namespace = build(shapes, torch.float64, folder, say=say)
        self.load()
        second = load(library, self.second_namespace, shapes)
        layers = range(network.config.n_layers)
        in_kernels = () if self.table_inputs is None else self.table_inputs.weights
        self._geometry = SecondGeometry(
            self.operators["geometry"], self.operators["geometry_adjoint"], network.harmonics
        )
        self.convolutions = [
            SecondConvolution(
                f"convolution_{layer}",
                self.operators,
                second,
                TableArguments(
                    tables.table_of, in_kernels[layer], self.packed_maps[layer], tables.spline
                ),
                tables.weights[layer].coefficients,
                self.maps[layer],
            )
            for layer in layers
        ]
        self.gates = gates_of(network)
        self.contractions = [second[f"contraction_{layer}"] for layer in layers]

    def geometry(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.geometry`."""
        return self._geometry(edge_vectors)

    def convolution(self, layer: int, features: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """See `Kernels.convolution`."""
        return self.convolutions[layer](features, edges)

    def gate(self, layer: int) -> GateCall:
        """See `Kernels.gate`; in plain torch."""
        return self.gates[layer]

    def contraction(self, layer: int, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """See `Kernels.contraction`."""
        return self.contractions[layer](a, self.coefficients[layer], species)
