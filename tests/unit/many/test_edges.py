"""Edges of a stack: those of a search in each structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from models import HEADS, random_model
from structures import (
    far_apart,
    no_atoms,
    one_atom,
    rattled_bulk,
    slab,
    tiny_cell,
    water_cluster,
    waters,
    wire,
)
from tolerances import SAME_NUMBERS, assert_close

from mhff.atoms import geometry
from mhff.capabilities import model_capabilities
from mhff.many import edges
from mhff.many.edges import edges_of
from mhff.many.items import Item, Preparation, stacked
from mhff.many.stacks import Stack
from mhff.neighbours import neighbour_list
from mhff.options import Precision

R_MAX = 4.0


def stack_of(structures: Sequence[Atoms]) -> Stack:
    model = random_model("mh1", n_channels=4, correlation=2)
    can = model_capabilities(model.network.config, model.heads, Precision.FLOAT64)
    prepare = Preparation(can, HEADS[0], str)
    items = [prepare.item(index, each) for index, each in enumerate(structures)]
    usable = [item for item in items if isinstance(item, Item)]
    assert len(usable) == len(items)
    return stacked(usable)


def ordered(index: np.ndarray, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges by receiver, sender and vector, so that lists of one kind can be compared."""
    order = np.lexsort((*vectors.round(6).T, *index))
    return index[:, order], vectors[order]


STRUCTURES = (
    water_cluster,
    rattled_bulk,
    lambda: molecule("C6H6"),
    no_atoms,
    tiny_cell,
    one_atom,
    slab,
    lambda: waters(30),  # too many atoms for a list of all pairs
    far_apart,
    wire,
    lambda: molecule("CH4"),
)


def test_every_edge_of_every_structure() -> None:
    structures = [make() for make in STRUCTURES]
    found = edges_of(stack_of(structures), R_MAX)
    assert not found.troubles
    assert (np.diff(found.index[1]) >= 0).all(), "edges are not sorted by receiver"
    first = 0
    for atoms in structures:
        mine = (found.index[1] >= first) & (found.index[1] < first + len(atoms))
        index, vectors = ordered(found.index[:, mine] - first, found.vectors[mine])
        expected_index, expected_vectors = ordered(*neighbour_list(*geometry(atoms), R_MAX))
        assert np.array_equal(index, expected_index)
        assert_close(vectors, expected_vectors, SAME_NUMBERS)
        first += len(atoms)


def test_small_molecules_are_not_searched_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search takes longer than the evaluation of a small molecule."""

    def search(*_: object) -> None:
        raise AssertionError("a molecule was searched alone")

    monkeypatch.setattr(edges, "neighbour_list", search)
    found = edges_of(stack_of([molecule("C6H6"), molecule("CH4"), one_atom()]), R_MAX)
    assert found.index.shape[1] > 0


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 1e200])
def test_a_structure_that_cannot_be_searched_is_named(wrong: float) -> None:
    broken = molecule("CH4")
    broken.positions[2, 1] = wrong
    found = edges_of(stack_of([molecule("H2O"), broken, molecule("H2O")]), R_MAX)
    assert list(found.troubles) == [1]
    assert "positions" in found.troubles[1]
    assert not np.isin(found.index, range(3, 8)).any()


def test_atoms_that_coincide_are_named_by_their_numbers_in_the_structure() -> None:
    broken = molecule("CH4")
    broken.positions[3] = broken.positions[1]
    found = edges_of(stack_of([molecule("H2O"), broken]), R_MAX)
    assert list(found.troubles) == [1]
    assert "atoms 3 and 1" in found.troubles[1] or "atoms 1 and 3" in found.troubles[1]
    assert found.index.shape[1] == 6, "the water molecule has lost an edge"
