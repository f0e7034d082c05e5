"""The level of theory as a variable of a running Context."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openmm
import pytest
from openmm import unit
from openmm_runs import add, assert_same, read, start
from structures import waters

from mhff import MHFFError
from mhff_openmm.systems import system_of

PATH = ("materials", "molecules")
Results = Callable[..., Any]


def water_system(model: Path, n_waters: int = 3, **arguments: Any) -> openmm.System:
    system, topology = system_of(waters(n_waters))
    add(system, topology, model, dtype="float64", **arguments)
    return system


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0, 1.5])
def test_a_place_on_the_path_equals_a_fresh_mix(
    model_file: Path, ase_results: Results, fraction: float
) -> None:
    atoms = waters(3)
    context = start(water_system(model_file, path=PATH), atoms.positions)
    context.setParameter("mhff_lambda", fraction)
    mix = {"materials": 1 - fraction, "molecules": fraction}
    assert_same(read(context), read(start(water_system(model_file, head=mix), atoms.positions)))
    assert_same(read(context), ase_results(atoms, mix))


def test_heads_beside_the_path(model_file: Path, ase_results: Results) -> None:
    atoms = waters(3)
    context = start(water_system(model_file, path=PATH), atoms.positions)
    context.setParameter("mhff_lambda", 0.25)
    context.setParameter("mhff_head_surfaces", 0.5)
    context.setParameter("mhff_head_molecules", -0.5)
    mix = {"materials": 0.75, "molecules": -0.25, "surfaces": 0.5}
    assert_same(read(context), ase_results(atoms, mix))


def test_lambda_changed_in_a_running_context_equals_a_fresh_one(model_file: Path) -> None:
    atoms = waters(5)
    context = start(water_system(model_file, 5, path=PATH), atoms.positions)
    context.getIntegrator().step(5)
    context.setParameter("mhff_lambda", 0.75)
    context.getIntegrator().step(5)
    state = context.getState(positions=True)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    fresh = start(water_system(model_file, 5, path=PATH), positions)
    assert context.getParameter("mhff_lambda") == 0.75
    assert fresh.getParameter("mhff_lambda") == 0.0
    fresh.setParameter("mhff_lambda", 0.75)
    assert_same(read(context), read(fresh))


def test_a_head_and_a_path_are_refused(model_file: Path) -> None:
    with pytest.raises(MHFFError, match="got both head='molecules' and path=") as caught:
        water_system(model_file, head="molecules", path=PATH)
    assert "give the path alone" in str(caught.value)
