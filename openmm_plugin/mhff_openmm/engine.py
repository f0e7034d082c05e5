"""OpenMM as an engine of mhff: its compile target, its benchmark, its part of the demonstration.

`mhff compile --target openmm` makes an artefact, which `add_mhff_force` takes in place of a model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mhff.engines import Engine, Panel, Steps, Target
from mhff.options import Form


def bench(options: Mapping[str, Any]) -> Steps:
    """Steps of dynamics in an OpenMM Context."""
    from mhff_openmm.bench import OpenMM

    return OpenMM(options)


def demo(out: Path, say: Callable[[str], None]) -> Panel:
    """Dynamics of water."""
    from mhff_openmm.demo import water_dynamics

    return water_dynamics(out, say)


OPENMM = Engine(
    "openmm",
    Target((Form.AOTI, Form.TORCHSCRIPT)),
    forms=tuple(Form),
    bench=bench,
    demo=demo,
)
