"""Programs that carry their radial networks: to evaluate them, or to make tables from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import structures
from ase import Atoms
from ase.data import chemical_symbols
from calculators import assert_program_gives_the_models_numbers, exact
from command_line import Here, output_of
from models import random_model
from programs import artefact
from tolerances import SINGLE_PRECISION, Tolerance, assert_close_to_scale

from mhff import MHFFCalculator, Model
from mhff_deploy.artefact.content import Manifest, read_manifest

MANY = tuple(chemical_symbols[1:90])


def small(**changes: object) -> Model:
    return random_model("mh1", n_channels=8, n_edge_channels=8, **changes)


def assert_no_tables(manifest: Manifest) -> None:
    assert manifest.tables.measured == 0
    assert manifest.tables.n_intervals == 0
    assert manifest.kernels


def alloy() -> Atoms:
    """A rattled crystal of 27 elements that a model of few does not know."""
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(3)] * 3), -1).reshape(-1, 3) * 2.9
    return Atoms(MANY[40:67], grid + rng.normal(0, 0.1, grid.shape), cell=np.eye(3) * 8.7, pbc=True)


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "limit"), [("float64", 1e-8), ("float32", 2e-5)])
def test_a_model_of_89_elements_compiles_whole(dtype: str, limit: float, tmp_path: Path) -> None:
    model = small(elements=MANY)
    content, manifest = artefact(model, head="surfaces", precision=dtype, form="torchscript")
    assert not manifest.tables.stored, "expected tables made for the elements of a structure"
    assert 0 < manifest.tables.measured <= manifest.tables.asked
    assert manifest.kernels
    assert manifest.capabilities.elements == MANY
    assert 0 < max(manifest.largest_errors.values()) < limit
    (tmp_path / "program.pt").write_bytes(content)
    atoms = alloy()
    atoms.calc = MHFFCalculator(tmp_path / "program.pt")
    found = atoms.get_forces()
    atoms.calc = exact(model, "surfaces")
    tolerance = Tolerance(limit, limit) if dtype == "float64" else SINGLE_PRECISION
    assert_close_to_scale(found, atoms.get_forces(), tolerance)


@pytest.mark.slow
def test_the_command_keeps_the_radial_networks(mhff: Here, tmp_path: Path) -> None:
    model, file = small(), tmp_path / "program.pt"
    model.save(tmp_path / "model.mhff")
    asked = [
        "--target",
        "torchscript",
        "--head",
        "surfaces",
        "--dtype",
        "float64",
        "--table-error",
        "0",
        "-o",
    ]
    said = output_of(mhff("compile", tmp_path / "model.mhff", *asked, file))
    assert "radial networks kept; kernels for this processor" in said
    assert_no_tables(read_manifest(file.read_bytes(), file))
    makes = (
        structures.triclinic,
        structures.water_cluster,
        structures.one_atom,
        structures.far_apart,
    )
    assert_program_gives_the_models_numbers(file, model, "surfaces", makes)
