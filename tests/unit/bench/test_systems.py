"""Systems of any size."""

from __future__ import annotations

import numpy as np
import pytest

from mhff.errors import MHFFError
from mhff_bench.systems import DEFAULT_SIZES, SYSTEMS, factors


@pytest.mark.parametrize("name", SYSTEMS)
def test_systems_have_the_size_that_was_asked_for_and_no_clashes(name: str) -> None:
    system = SYSTEMS[name]
    for n_atoms in (system.multiple, *DEFAULT_SIZES[name][:2]):
        atoms = system.atoms(n_atoms)
        assert len(atoms) == n_atoms
        assert atoms.pbc.all()
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(n_atoms, 1)]
        assert distances.min() > 0.8
        assert np.abs(system.atoms(n_atoms).positions - atoms.positions).max() == 0.0


@pytest.mark.parametrize(
    ("name", "n_atoms", "nearest"), [("mgo", 63, 64), ("water", 1, 3), ("co-on-mgo", 20, 18)]
)
def test_a_size_that_the_pattern_does_not_have(name: str, n_atoms: int, nearest: int) -> None:
    with pytest.raises(MHFFError, match=f"got {n_atoms}; take {nearest}$"):
        SYSTEMS[name].atoms(n_atoms)


def test_factors_are_near_each_other() -> None:
    assert factors(27, 3) == (3, 3, 3)
    assert factors(12, 3) == (3, 2, 2)
    assert factors(7, 2) == (7, 1)
    for n in range(1, 60):
        assert np.prod(factors(n, 3)) == n
