"""TorchForce, PythonForce and ASE give the same energies, forces and derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openmm
import pytest
from ase import Atoms
from models import HEADS
from openmm_runs import MIX, assert_same, read, reduced, start
from structures import (
    adsorbate,
    close_contacts,
    far_apart,
    magnesia,
    one_atom,
    tiny_cell,
    triclinic,
    water_cluster,
    waters,
)
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff_openmm.adapter import KJ_PER_MOL_PER_EV

System = Callable[..., openmm.System]
Results = Callable[..., tuple[float, np.ndarray]]
PATH = ("materials", "molecules")
STRUCTURES: dict[str, Callable[[], Atoms]] = {
    build.__name__: build
    for build in (
        water_cluster,
        magnesia,
        triclinic,
        tiny_cell,
        adsorbate,
        close_contacts,
        far_apart,
        one_atom,
    )
}
SINGLE_ENERGY = 1e-5
"""eV per atom, float32 against float64."""
SINGLE_FORCE = 1e-4
"""eV/A, likewise, relative to the largest component if that is larger than 1 eV/A."""


def strewn() -> Atoms:
    """Molecules cut by the box's faces, and coordinates many boxes away."""
    atoms = waters(8, spacing=3.3)
    atoms.set_cell([6.6, 6.6, 6.6])
    atoms.pbc = True
    atoms.positions += 6.6 * np.random.default_rng(0).integers(-5, 6, (len(atoms), 3))
    return atoms


STRUCTURES["strewn"] = strewn


def set_head(context: openmm.Context, head: str | dict[str, float]) -> None:
    weights = {head: 1.0} if isinstance(head, str) else head
    for name in HEADS:
        context.setParameter(f"mhff_head_{name}", weights.get(name, 0.0))


@pytest.mark.parametrize("platform", ["Reference", "CPU"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_all_heads_in_float64(
    structure: str, platform: str, make_system: System, ase_results: Results
) -> None:
    atoms = reduced(STRUCTURES[structure]())
    contexts = [
        start(make_system(atoms, backend=backend), atoms.positions, platform)
        for backend in ("torch", "python")
    ]
    energies = set()
    for head in (MIX, *HEADS):
        expected = ase_results(atoms, head)
        energies.add(expected[0])
        for context in contexts:
            set_head(context, head)
            assert_same(read(context), expected, ENGINE_ENERGY, ENGINE_FORCE)
    assert len(energies) == 1 + len(HEADS)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_float32(structure: str, make_system: System, ase_results: Results) -> None:
    atoms = reduced(STRUCTURES[structure]())
    expected = ase_results(atoms, "molecules")
    scale = max(1.0, np.abs(expected[1]).max())
    found = read(start(make_system(atoms, dtype="float32"), atoms.positions))
    assert_same(found, expected, SINGLE_ENERGY * scale, SINGLE_FORCE * scale)


@pytest.mark.parametrize("structure", ["triclinic", "water_cluster"])
def test_a_subset_in_any_order(structure: str, make_system: System, ase_results: Results) -> None:
    atoms = reduced(STRUCTURES[structure]())
    chosen = [3, 0, 2]
    energy, forces = read(start(make_system(atoms, atoms=chosen), atoms.positions))
    expected = ase_results(atoms[chosen], "molecules")
    assert_same((energy, forces[chosen]), expected, ENGINE_ENERGY, ENGINE_FORCE)
    assert not np.delete(forces, chosen, axis=0).any()


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0, 1.5])
def test_a_place_on_a_path(fraction: float, make_system: System, ase_results: Results) -> None:
    atoms = waters(3)
    context = start(make_system(atoms, path=PATH), atoms.positions)
    context.setParameter("mhff_lambda", fraction)
    mix = {"materials": 1 - fraction, "molecules": fraction}
    assert_same(read(context), ase_results(atoms, mix), ENGINE_ENERGY, ENGINE_FORCE)


def derivatives(context: openmm.Context) -> dict[str, float]:
    """Derivatives of the energy with respect to all parameters, eV."""
    state = context.getState(parameterDerivatives=True)
    found = dict(state.getEnergyParameterDerivatives())
    return {name: value / KJ_PER_MOL_PER_EV for name, value in found.items()}


def test_parameter_derivatives_are_energies_of_heads(
    make_system: System, ase_results: Results
) -> None:
    atoms = waters(3)
    context = start(make_system(atoms, path=PATH), atoms.positions)
    context.setParameter("mhff_lambda", 0.25)
    energies = {head: ase_results(atoms, head)[0] for head in HEADS}
    found = derivatives(context)
    assert found.pop("mhff_lambda") == pytest.approx(
        energies["molecules"] - energies["materials"], abs=ENGINE_ENERGY * len(atoms)
    )
    expected = {f"mhff_head_{head}": energy for head, energy in energies.items()}
    assert found == pytest.approx(expected, abs=ENGINE_ENERGY * len(atoms))


def test_derivatives_equal_finite_differences(make_system: System) -> None:
    atoms = waters(3)
    context = start(make_system(atoms, path=PATH), atoms.positions)
    found = derivatives(context)
    for name, value in found.items():
        at = context.getParameter(name)
        energies: list[Any] = []
        for shift in (1e-3, -1e-3):
            context.setParameter(name, at + shift)
            energies.append(read(context)[0])
        context.setParameter(name, at)
        assert value == pytest.approx((energies[0] - energies[1]) / 2e-3, rel=1e-7)


def test_a_head_changed_at_run_time_equals_a_fresh_context(make_system: System) -> None:
    atoms = waters(4)
    context = start(make_system(atoms), atoms.positions)
    context.getIntegrator().step(5)
    set_head(context, "surfaces")
    positions = context.getState(positions=True).getPositions(asNumpy=True)._value * 10
    assert_same(read(context), read(start(make_system(atoms, head="surfaces"), positions)))
