"""The exact model as a calculator, and programs that must give its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ase import Atoms
from tolerances import ROUNDING, Tolerance, assert_close

from mhff import MHFFCalculator
from mhff.evaluator import ModelSource
from mhff.heads import HeadSpec


def exact(
    model: ModelSource, head: HeadSpec | None = None, dtype: str = "float64", **settings: Any
) -> MHFFCalculator:
    """The eager model, the reference of all comparisons."""
    return MHFFCalculator(model, head=head, dtype=dtype, form="eager", **settings)


def assert_program_gives_the_models_numbers(
    program: Path,
    model: ModelSource,
    head: HeadSpec,
    structures: Iterable[Callable[[], Atoms]],
    tolerance: Tolerance = ROUNDING,
) -> None:
    """Energies per atom, forces and all heads' energies of a program opened with this head."""
    for make in structures:
        found, expected = make(), make()
        found.calc = MHFFCalculator(program, head=head)
        expected.calc = exact(model, head)
        for atoms in (found, expected):
            atoms.get_potential_energy()
        assert_close(found.calc.results["energies"], expected.calc.results["energies"], tolerance)
        assert_close(found.calc.results["forces"], expected.calc.results["forces"], tolerance)
        assert_close(
            list(found.calc.results["head_energies"].values()),
            list(expected.calc.results["head_energies"].values()),
            tolerance,
        )
