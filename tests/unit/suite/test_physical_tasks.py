"""Tasks of physical behaviour: a sound potential passes, and each fault is found by its task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from suite_settings import EPSILON, SIGMA, argon, setting_around

from mhff_suite.outcome import Outcome
from mhff_suite.registry import all_tasks

Fault = Callable[[Atoms, dict[str, Any]], None]
SHORT_CUTOFF = 6.0
FAR = 25.0
LAWS = ("invariances", "forces", "hessian", "extensivity", "locality", "cutoff", "isolated")


class Faulty(Calculator):
    """Argon with a fault, which changes its results."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 - ASE's own name

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault
        self.sound = argon()

    def calculate(
        self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        copy = atoms.copy()
        copy.calc = self.sound
        self.results = {"energy": copy.get_potential_energy(), "forces": copy.get_forces().copy()}
        if copy.cell.rank == 3:
            self.results["stress"] = copy.get_stress()
        self.fault(copy, self.results)


def leaning(atoms: Atoms, results: dict[str, Any]) -> None:
    span = np.ptp(atoms.positions[:, 2])
    results["energy"] += 1e-3 * span


def wrong_forces(atoms: Atoms, results: dict[str, Any]) -> None:
    results["forces"] *= 1.01


def turning(atoms: Atoms, results: dict[str, Any]) -> None:
    results["forces"] += 1e-2 * np.cross(atoms.positions, [0, 0, 1])


def squared(atoms: Atoms, results: dict[str, Any]) -> None:
    results["energy"] += 1e-3 * len(atoms) ** 2


def everywhere(atoms: Atoms, results: dict[str, Any]) -> None:
    results["forces"] += 1e-3 * atoms.positions[0, 0]


def shifted(atoms: Atoms, results: dict[str, Any]) -> None:
    results["energy"] += 1.0 * len(atoms)


def run(task: str, calculator: Calculator) -> Outcome:
    return all_tasks()[task].run(setting_around(calculator, "Ar"))


@pytest.mark.parametrize("task", LAWS)
def test_argon_passes(task: str) -> None:
    # its second derivative jumps at the cutoff: far out, where differences do not see it
    calculator = argon(FAR) if task in ("forces", "hessian") else argon()
    failed = [value for value in run(task, calculator).values if not value.passed]
    assert not failed


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        ("invariances", leaning),
        ("forces", wrong_forces),
        ("hessian", turning),
        ("extensivity", squared),
        ("locality", everywhere),
        ("isolated", shifted),
    ],
)
def test_a_fault_is_found_and_explained(task: str, fault: Fault) -> None:
    failed = [value for value in run(task, Faulty(fault)).values if not value.passed]
    assert failed
    assert all(value.sentence for value in failed)


def test_a_truncated_potential_jumps_at_the_cutoff() -> None:
    truncated = LennardJones(sigma=SIGMA, epsilon=EPSILON, rc=SHORT_CUTOFF, smooth=False)
    setting = replace(setting_around(truncated, "Ar"), r_max=SHORT_CUTOFF)
    found = all_tasks()["cutoff"].run(setting)
    failed = [value.quantity for value in found.values if not value.passed]
    assert "step of the force" in failed


def test_argon_resists_compression_and_a_soft_core_does_not() -> None:
    from mhff_suite.tasks.compression import VOLUMES, holes

    lengths = 3.8 * VOLUMES ** (1 / 3)
    sound = 4 * ((3.4 / lengths) ** 12 - (3.4 / lengths) ** 6)
    soft = np.where(lengths < 3.2, -5.0, sound)
    assert max(holes(sound)) == pytest.approx(0.0, abs=1e-12)
    inward, outward = holes(soft)
    assert inward > 5.0
    assert outward == pytest.approx(0.0, abs=1e-12)
