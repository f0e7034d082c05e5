"""Imported mace-torch models work like trained ones: command line, ASE, programs, engines."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
import structures
from ase import Atoms
from calculators import assert_program_gives_the_models_numbers, exact
from command_line import Here, output_of, refusal_of, run_mhff
from lammps_runs import (
    MEASURE,
    Coupling,
    read,
    record,
    run,
    start,
    turned,
)
from programs import artefact
from references import references
from tolerances import ENGINE_ENERGY, ENGINE_FORCE

from mhff import load

STATE = {"omol": {"charge": 1, "spin": 2}}
"""Charge and multiplicity of the runs with models that take them."""


@pytest.fixture(scope="module", params=["mh1", "omol", "mp0", "omat"])
def case(request: pytest.FixtureRequest) -> str:
    """Small random models with the architectures of mace-mh-1, -omol, -mp-0 and -omat-0."""
    return request.param


@pytest.fixture(scope="module")
def model_file(case: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mhff import-mace` makes of a file of mace-torch."""
    output = tmp_path_factory.mktemp(case) / f"{case}.mhff"
    said = output_of(run_mhff("import-mace", references().file(case), "-o", output))
    assert f"wrote {output}" in said
    assert "nothing was left out" in said
    return output


def crystal(case: str) -> Atoms:
    atoms = turned(structures.triclinic())
    atoms.info.update(STATE.get(case, {}))
    return atoms


def in_ase(model_file: Path, atoms: Atoms, head: str) -> tuple[float, np.ndarray]:
    atoms = atoms.copy()
    atoms.calc = exact(model_file, head)
    forces = atoms.get_forces()
    assert np.abs(forces).max() > 0.01
    return atoms.get_potential_energy(), forces


def test_programs_equal_the_model(case: str, model_file: Path, tmp_path: Path) -> None:
    model = load(model_file)
    head = model.heads.names[-1]
    program = tmp_path / "program.pt"
    program.write_bytes(artefact(model, head=head, precision="float64", form="torchscript")[0])

    def with_state(make: Callable[[], Atoms]) -> Callable[[], Atoms]:
        def build() -> Atoms:
            atoms = make()
            atoms.info.update(STATE.get(case, {}))
            return atoms

        return build

    makes = (
        structures.slab,
        structures.water_cluster,
        structures.one_atom,
        structures.tiny_cell,
    )
    assert_program_gives_the_models_numbers(program, model, head, map(with_state, makes))


def test_lammps(
    case: str, model_file: Path, mhff: Here, tmp_path: Path, coupling: Coupling
) -> None:
    heads = load(model_file).heads.names
    options = [word for name, value in STATE.get(case, {}).items() for word in (f"--{name}", value)]
    asked = f"--head {heads[0]} --target lammps --form torchscript --dtype float64 -o".split()
    output_of(mhff("compile", model_file, *options, *asked, tmp_path / "imported.mliap"))
    atoms = crystal(case)
    text = start(tmp_path, "crystal", atoms) + "pair_style mliap unified imported.mliap 0\n"
    for head in heads:
        labels = " ".join(f"{element}@{head}" for element in structures.ELEMENTS)
        text += f"pair_coeff * * {labels}\n" + (MEASURE if head == heads[0] else "") + record(head)
    output_of(run(tmp_path, text, coupling=coupling))
    for head in heads:
        energy, forces = in_ase(model_file, atoms, head)
        found = read(tmp_path, head)
        assert abs(found.energy - energy) <= ENGINE_ENERGY * len(atoms)
        assert np.abs(found.forces - forces).max() <= ENGINE_FORCE


def test_openmm(case: str, model_file: Path) -> None:
    from openmm_runs import read as read_openmm
    from openmm_runs import start as start_openmm

    from mhff_openmm import add_mhff_force
    from mhff_openmm.systems import system_of

    atoms = structures.water_cluster()
    atoms.info.update(STATE.get(case, {}))
    head = load(model_file).heads.names[-1]
    system, topology = system_of(atoms)
    asked = {"head": head, "dtype": "float64", "form": "torchscript", **STATE.get(case, {})}
    add_mhff_force(system, topology, model_file, **asked)
    found, pull = read_openmm(start_openmm(system, atoms.positions))
    energy, forces = in_ase(model_file, atoms, head)
    assert abs(found - energy) <= ENGINE_ENERGY * len(atoms)
    assert np.abs(pull - forces).max() <= ENGINE_FORCE


def test_info_and_eval(case: str, model_file: Path, mhff: Here, tmp_path: Path) -> None:
    heads = load(model_file).heads.names
    said = output_of(mhff("info", model_file))
    for head in heads:
        assert head in said
    assert ("total charge" in said) == (case in STATE)
    labelled = crystal(case)
    energy, forces = in_ase(model_file, labelled, heads[0])
    labelled.info["REF_energy"], labelled.arrays["REF_forces"] = energy, forces
    ase.io.write(tmp_path / "labelled.xyz", labelled, format="extxyz")
    done = mhff("eval", model_file, tmp_path / "labelled.xyz", "--head", heads[0], "--json")
    errors = json.loads(output_of(done))[heads[0]]
    assert errors["energy_mae_meV_per_atom"] < 1e-4  # the file has eight digits
    assert errors["force_mae_meV_per_A"] < 1e-3


@pytest.mark.parametrize("options", [["--charge", "1"], ["--spin", "3"]])
def test_a_charge_for_a_model_without_is_refused(
    options: list[str], mhff: Here, tmp_path: Path
) -> None:
    output = tmp_path / "mini.pt"
    done = mhff(
        "compile", "mini", *["--head", "mol", "--target", "torchscript", "-o"], output, *options
    )
    assert refusal_of(done).startswith("this model has no total-")
    assert not output.exists()
