"""A small model of mace-mh-1's architecture: imported, fine-tuned by replay, run in the engines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import structures
from ase import Atoms
from calculators import exact
from command_line import Here, output_of
from lammps_runs import MEASURE, labels, read, read_atoms, record, run, turned
from lammps_runs import start as start_lammps
from openmm import unit
from openmm_runs import read as read_openmm
from openmm_runs import reduced
from openmm_runs import start as start_openmm
from tolerances import ENGINE_ENERGY, ENGINE_FORCE, ROUNDING, assert_close
from tuned_runs import SIX, configure, import_six_heads, train

from mhff.data.reading import LabelledStructure
from mhff.modelfile import Model, load
from mhff.train.run import Run
from mhff_openmm import add_mhff_force
from mhff_openmm.systems import system_of

pytestmark = pytest.mark.slow

SIZE: dict[str, Any] = {"elements": structures.ELEMENTS, "n_channels": 8, "n_edge_channels": 8}
"""The fewest channels that kernels take."""
HEADS = {"tight": {"files": ["tight.extxyz"], "start_from": "omat_pbe", "e0s": "reestimated"}}
LABELLED = {"files": ["loose.extxyz"], "keys": {"head": None}}
REPLAY = {"omol": LABELLED | {"labels": "model"}, "spice_wB97M": LABELLED}
"""One old head keeps the start model's labels, another learns from those of a file."""
N_STEPS = 300
LEARNED = 0.5
"""Largest force error of the new head on structures that it has not seen, in that before."""


class Tuned(NamedTuple):
    """The start model, and what its fine-tuning left."""

    start: Model
    run: Run
    model: Model
    file: Path
    report: dict[str, Any]

    def unseen(self, head: str) -> list[LabelledStructure]:
        """The structures of a head for validation."""
        found = next(data.parts["valid"] for data in self.run.heads if data.name == head)
        assert found
        return found


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """The model after a few hundred steps on a seventh head."""
    folder = tmp_path_factory.mktemp("tuned")
    start = import_six_heads(folder, **SIZE)
    steps_of_an_epoch = 8
    schedule = {"epochs": N_STEPS // steps_of_an_epoch}
    run, _ = train(configure(folder, heads=HEADS, replay=REPLAY, run=schedule))
    run.report()
    report = json.loads((folder / "run" / "report.json").read_text())
    return Tuned(start, run, load(run.model_file), run.model_file, report)


def predicted(
    model: Model, head: str, members: Iterable[LabelledStructure]
) -> tuple[np.ndarray, np.ndarray]:
    """Energies per atom `[n]`, meV, and forces `[n_atoms_in_all, 3]`, meV/A, from ASE."""
    calculator = exact(model, head)
    energies = []
    forces = []
    for item in members:
        atoms = item.atoms.copy()
        atoms.calc = calculator
        energies.append(1000 * atoms.get_potential_energy() / len(atoms))
        forces.append(1000 * atoms.get_forces())
    return np.array(energies), np.concatenate(forces)


def mean_difference(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).mean())


def test_the_report_says_how_far_the_energies_of_an_old_head_moved(tuned: Tuned) -> None:
    """Where labels are the start model's, errors are changes."""
    unseen = tuned.unseen("omol")
    energies, forces = predicted(tuned.model, "omol", unseen)
    energies_before, forces_before = predicted(tuned.start, "omol", unseen)
    said = tuned.report["errors"]["valid"]["omol"]
    change = mean_difference(energies, energies_before)
    assert change > 0.01
    assert_close(said["energy_mae_meV_per_atom"], change, ROUNDING)
    assert_close(said["force_mae_meV_per_A"], mean_difference(forces, forces_before), ROUNDING)


def test_the_report_says_the_errors_of_an_old_head_before_and_after(tuned: Tuned) -> None:
    unseen = tuned.unseen("spice_wB97M")
    energy_labels = np.array([1000 * item.energy / len(item.atoms) for item in unseen])
    force_labels = 1000 * np.concatenate([item.forces for item in unseen])
    for model, section in ((tuned.start, "errors_of_start_model"), (tuned.model, "errors")):
        energies, forces = predicted(model, "spice_wB97M", unseen)
        said = tuned.report[section]["valid"]["spice_wB97M"]
        expected = mean_difference(energies, energy_labels)
        assert_close(said["energy_mae_meV_per_atom"], expected, ROUNDING)
        assert_close(said["force_mae_meV_per_A"], mean_difference(forces, force_labels), ROUNDING)


def test_the_new_head_learned(tuned: Tuned) -> None:
    """From the head that it began as."""
    assert tuned.model.heads.names == (*SIX, "tight")
    unseen = tuned.unseen("tight")
    force_labels = 1000 * np.concatenate([item.forces for item in unseen])
    errors = [
        mean_difference(predicted(model, head, unseen)[1], force_labels)
        for model, head in ((tuned.start, "omat_pbe"), (tuned.model, "tight"))
    ]
    assert errors[1] < LEARNED * errors[0]
    assert_close(
        tuned.report["errors"]["valid"]["tight"]["force_mae_meV_per_A"], errors[1], ROUNDING
    )


def crystal(tuned: Tuned) -> Atoms:
    """A structure that it has not seen, several times."""
    return reduced(tuned.unseen("tight")[0].atoms.repeat((2, 2, 2)))


def assert_ase_agrees(
    tuned: Tuned, head: str, atoms: Atoms, energy: float, forces: np.ndarray
) -> None:
    """Energy, eV, and forces, eV/A, of an engine are those of the exact model."""
    atoms = atoms.copy()
    atoms.calc = exact(tuned.model, head)
    assert abs(energy - atoms.get_potential_energy()) <= ENGINE_ENERGY * len(atoms)
    assert np.abs(forces - atoms.get_forces()).max() <= ENGINE_FORCE
    assert np.abs(forces).max() > 0.01


def compiled(tuned: Tuned, mhff: Here, target: str, output: Path) -> Path:
    """A program as a user compiles it.

    At distances far below those in the data, what few channels learned fast is too steep for tables
    that keep 1e-9 eV/A, so the program keeps the radial networks.
    """
    asked = ["--head", "tight", "--target", target, "--dtype", "float64"]
    output_of(mhff("compile", tuned.file, *asked, "-o", output))
    return output


def test_it_runs_in_lammps(tuned: Tuned, mhff: Here, tmp_path: Path) -> None:
    """The new head, an old one, and the new one after some steps."""
    compiled(tuned, mhff, "lammps", tmp_path / "tuned.mliap")
    text = start_lammps(tmp_path, "crystal", turned(crystal(tuned)))
    text += "pair_style mliap unified tuned.mliap 0\n"
    text += f"pair_coeff * * {labels('omol')}\n" + MEASURE + record("omol")
    text += f"pair_coeff * * {labels('tight')}\n" + record("tight")
    text += "timestep 0.0002\nfix move all nve\nrun 10\n" + record("later")
    output_of(run(tmp_path, text))
    for name, head in (("omol", "omol"), ("tight", "tight"), ("later", "tight")):
        found = read(tmp_path, name)
        assert_ase_agrees(tuned, head, read_atoms(tmp_path, name), found.energy, found.forces)


def test_it_runs_in_openmm(tuned: Tuned, mhff: Here, tmp_path: Path) -> None:
    """The new head in a compiled program, and after some steps."""
    atoms = crystal(tuned)
    system, topology = system_of(atoms)
    program = compiled(tuned, mhff, "torchscript", tmp_path / "tuned.pt")
    add_mhff_force(system, topology, program, head="tight")
    context = start_openmm(system, atoms.positions)
    assert_ase_agrees(tuned, "tight", atoms, *read_openmm(context))
    context.getIntegrator().step(10)
    moved = context.getState(positions=True).getPositions(asNumpy=True)
    atoms.positions = moved.value_in_unit(unit.angstrom)
    assert_ase_agrees(tuned, "tight", atoms, *read_openmm(context))
