"""Parts of the OpenMM adapter on their own: the Verlet list, the pickled computation, the units."""

from __future__ import annotations

import pickle
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import units as ase_units

from mhff.errors import MHFFError
from mhff.graph import neighbour_list
from mhff_openmm.computation import MHFFComputation
from mhff_openmm.program import Program
from mhff_openmm.units import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from mhff_openmm.verlet import VerletList

R_MAX = 3.0
CODATA = 2e-8
"""ase.units and openmm.unit use different issues of CODATA."""
ROUNDING = 1e-12

CELLS = {
    "open": None,
    "cube": 9.0 * np.eye(3),
    "triclinic": np.array([[8.0, 0, 0], [3.0, 7.0, 0], [-2.0, 2.5, 7.5]]),
    "smaller than the cutoff": np.array([[2.2, 0, 0], [1.0, 2.4, 0], [0, 0, 2.0]]),
}


def in_order(edge_vectors: np.ndarray, edge_index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges in one order, whatever order they came in."""
    order = np.lexsort([*np.round(edge_vectors.T, 6), *edge_index])
    return edge_vectors[order], edge_index[:, order]


def assert_complete(verlet: VerletList, positions: np.ndarray, cell: np.ndarray | None) -> None:
    box, pbc = (np.zeros((3, 3)), np.zeros(3, bool)) if cell is None else (cell, np.ones(3, bool))
    fresh_index, fresh_vectors = neighbour_list(positions, box, pbc, R_MAX)
    vectors, index = (tensor.numpy() for tensor in verlet.edges(positions, cell))
    assert (np.diff(index[1]) >= 0).all()
    for found, fresh in zip(in_order(vectors, index), in_order(fresh_vectors, fresh_index), strict=True):
        assert found.shape == fresh.shape
        assert np.abs(found - fresh).max(initial=0.0) < ROUNDING


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS.keys())
def test_skin_list_is_complete_while_atoms_move(cell):
    rng = np.random.default_rng(0)
    n_atoms = 60 if cell is None or np.linalg.det(cell) > 50 else 4
    positions = rng.uniform(0, 8, (n_atoms, 3))
    velocities = rng.normal(0, 0.02, positions.shape)
    verlet = VerletList(R_MAX, 0.6, torch.device("cpu"))
    for _ in range(60):
        assert_complete(verlet, positions, cell)
        positions = positions + velocities
    assert 1 < verlet.n_builds < 30


def test_list_is_built_anew_when_the_box_changes():
    cell = CELLS["triclinic"]
    positions = np.random.default_rng(0).uniform(0, 8, (40, 3))
    verlet = VerletList(R_MAX, 0.6, torch.device("cpu"))
    for scale in (1.0, 1.01, 0.9, 1.0):
        assert_complete(verlet, positions, scale * cell)  # same positions: only the images have moved
    assert verlet.n_builds == 4


def test_atoms_that_jump_into_another_image_are_found():
    cell = CELLS["cube"]
    positions = np.random.default_rng(0).uniform(0, 9, (40, 3))
    verlet = VerletList(R_MAX, 0.6, torch.device("cpu"))
    assert_complete(verlet, positions, cell)
    assert_complete(verlet, positions + np.array([0, 9.0, -18.0]) * (np.arange(40) % 2)[:, None], cell)


def test_no_skin_means_a_fresh_list_at_every_move():
    positions = np.random.default_rng(0).uniform(0, 5, (20, 3))
    verlet = VerletList(R_MAX, 0.0, torch.device("cpu"))
    for step in range(3):
        assert_complete(verlet, positions + 1e-6 * step * positions, None)
    assert verlet.n_builds == 3


def test_one_atom_has_no_edges():
    vectors, index = VerletList(R_MAX, 1.0, torch.device("cpu")).edges(np.zeros((1, 3)), None)
    assert vectors.shape == (0, 3)
    assert index.shape == (2, 0)


def test_factors_are_those_of_the_field():
    assert pytest.approx(ase_units.mol / ase_units.kJ, rel=CODATA) == KJ_PER_MOL_PER_EV
    assert pytest.approx(ase_units.nm, rel=CODATA) == ANGSTROM_PER_NM


def computation() -> MHFFComputation:
    return MHFFComputation(
        Program("gone.mhff", "0" * 64, None, "cpu", "float32"), bytes([0, 1]), ("a", "b"), (0.0, 1.0), False, 1.0
    )


def test_reading_a_computation_loads_nothing_and_cannot_fail():
    code = (
        "import pickle, sys; import mhff_openmm; "
        f"computation = pickle.loads({pickle.dumps(computation())!r}); "
        "assert computation.species == bytes([0, 1]); "
        "print([name for name in ('torch', 'openmm', 'vesin', 'ase', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MHFFError("a sentence"), "a sentence"),
        (KeyError("q"), "mhff could not evaluate this step: KeyError: 'q'"),
        (KeyboardInterrupt(), "interrupted by the user while mhff evaluated a step"),
    ],
)
def test_text_of_an_exception_says_all(error, sentence):
    def fail() -> None:
        raise error

    with pytest.raises((MHFFError, RuntimeError)) as caught:
        computation()(SimpleNamespace(getParameters=fail))
    assert str(caught.value) == sentence
