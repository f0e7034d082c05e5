"""Programs that keep their radial networks: as asked, or because tables for all elements would be
too large.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import structures
from ase import Atoms
from ase.data import chemical_symbols
from models import random_model
from tolerances import ROUNDING, SINGLE_PRECISION, assert_close, assert_close_to_scale

from mhff import MHFFCalculator, Model
from mhff_deploy.artefact.content import Manifest
from mhff_deploy.artefact.runtime import load_artefact
from mhff_deploy.compiling.build import build
from mhff_deploy.compiling.targets import TORCHSCRIPT

MHFF = Path(sys.executable).parent / "mhff"
MANY = tuple(chemical_symbols[1:90])


def small(**changes: object) -> Model:
    return random_model("mh1", n_channels=8, n_edge_channels=8, **changes)


def assert_no_tables(manifest: Manifest) -> None:
    assert manifest.tables["measured"] == 0
    assert manifest.tables["intervals"] == 0
    assert manifest.kernels


def alloy() -> Atoms:
    """A rattled crystal of 27 elements that a model of few does not know."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3) * 2.9
    return Atoms(MANY[40:67], grid + rng.normal(0, 0.1, grid.shape), cell=np.eye(3) * 8.7, pbc=True)


@pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-10), ("float32", 2e-5)])
def test_a_model_of_89_elements_compiles_whole(dtype: str, limit: float, tmp_path: Path) -> None:
    model = small(elements=MANY)
    content, manifest = build(model, TORCHSCRIPT, head="surfaces", dtype=dtype)
    assert_no_tables(manifest)
    assert manifest.elements == MANY
    assert 0 < max(manifest.largest_errors.values()) < limit
    (tmp_path / "program.pt").write_bytes(content)
    atoms, forces = alloy(), []
    for source, head in ((model, "surfaces"), (tmp_path / "program.pt", None)):
        atoms.calc = MHFFCalculator(source, head=head)
        forces.append(atoms.get_forces())
    assert_close_to_scale(
        forces[1], forces[0], ROUNDING if dtype == "float64" else SINGLE_PRECISION
    )


def test_the_command_keeps_the_radial_networks(tmp_path: Path) -> None:
    model, file = small(), tmp_path / "program.pt"
    model.save(tmp_path / "model.mhff")
    options = [
        "--target",
        "torchscript",
        "--head",
        "surfaces",
        "--dtype",
        "float64",
        "--table-error",
        "0",
    ]
    done = subprocess.run(
        [MHFF, "compile", tmp_path / "model.mhff", *options, "-o", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "radial networks kept; kernels for this processor" in done.stdout
    assert_no_tables(load_artefact(file.read_bytes(), file).manifest)
    for make in (
        structures.triclinic,
        structures.water_cluster,
        structures.one_atom,
        structures.far_apart,
    ):
        atoms, numbers = make(), []
        for source, head in ((model, "surfaces"), (file, None)):
            atoms.calc = MHFFCalculator(source, head=head)
            numbers.append((atoms.get_potential_energies(), atoms.get_forces()))
        for expected, got in zip(*numbers, strict=True):
            assert_close(got, expected, ROUNDING)
