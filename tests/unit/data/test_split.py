"""The split depends on each structure alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import labelled_frame
from structures import rattled_bulk, triclinic

from mhff.data.identity import fraction
from mhff.data.reading import LabelledStructure, read_structures
from mhff.data.split import PARTS, part_of, split

MANY = 2000
H_ATOM, BULK = 0.062259, 0.895914
"""Fractions of two structures, on record."""


def clusters(n: int, seed: int = 0) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    return [Atoms("HCO", positions=rng.normal(size=(3, 3))) for _ in range(n)]


def test_the_fractions_are_uniform() -> None:
    places = np.sort([fraction(atoms) for atoms in clusters(MANY)])
    expected = (np.arange(MANY) + 0.5) / MANY
    assert np.abs(places - expected).max() < 1.7 / MANY**0.5, (
        "Kolmogorov-Smirnov at a significance of a percent"
    )


def test_parts_follow_the_fractions() -> None:
    parts = [part_of(atoms, valid=0.2, test=0.1) for atoms in clusters(MANY)]
    counts = np.array([parts.count(part) for part in ("train", "valid", "test")]) / MANY
    np.testing.assert_allclose(counts, [0.7, 0.2, 0.1], atol=0.03)


def test_the_numbers_never_change() -> None:
    """Another hash would mix the training and test structures of existing models."""
    assert round(fraction(Atoms("H")), 6) == H_ATOM
    assert round(fraction(rattled_bulk()), 6) == BULK


def test_only_the_structure_counts() -> None:
    one, other = rattled_bulk(), labelled_frame(rattled_bulk(), head="surfaces", seed=3)
    assert fraction(one) == fraction(other)
    other.positions[0, 0] += 1e-3
    assert fraction(one) != fraction(other)


def test_every_part_of_a_structure_counts() -> None:
    changed = [triclinic() for _ in range(4)]
    changed[1].numbers[0] = 1
    changed[2].pbc = (True, False, False)
    changed[3].set_cell(changed[3].cell * 1.01)
    assert len({fraction(atoms) for atoms in changed}) == len(changed)


def test_signs_of_zero_and_lattice_vectors_without_period_do_not_count() -> None:
    one, other = (
        Atoms("H", positions=[[0.0, 0.0, 0.0]]),
        Atoms("H", positions=[[-0.0, 0.0, -1e-9]], cell=[3, 4, 5]),
    )
    assert fraction(one) == fraction(other)


def test_writing_reading_and_reordering_change_nothing(tmp_path: Path) -> None:
    frames = [labelled_frame(atoms) for atoms in clusters(60)]
    write(tmp_path / "a.xyz", frames, format="extxyz")
    write(tmp_path / "b.xyz", [*clusters(20, seed=9), *frames[::-1]][20:], format="extxyz")
    there = {
        part: {item.atoms.positions.round(6).tobytes() for item in items}
        for part, items in split(read_structures(tmp_path / "a.xyz")).items()
    }
    back = {
        part: {item.atoms.positions.round(6).tobytes() for item in items}
        for part, items in split(read_structures(tmp_path / "b.xyz")).items()
    }
    assert there == back
    for atoms in frames:
        (part,) = (
            part
            for part, members in there.items()
            if atoms.positions.round(8).round(6).tobytes() in members
        )
        assert part == part_of(atoms)


structures = st.builds(
    lambda symbols, scale, seed: Atoms(
        symbols, scale * np.random.default_rng(seed).normal(size=(len(symbols), 3))
    ),
    st.lists(st.sampled_from(["H", "C", "O", "Mg"]), min_size=1, max_size=5),
    st.floats(0.5, 5),
    st.integers(0, 2**32 - 1),
)
levels = st.sampled_from(["loose", "tight"])
labelled = st.builds(
    lambda atoms, energy, head: LabelledStructure(atoms, energy, head=head),
    structures,
    st.floats(-10, 10),
    levels,
)
fractions = st.tuples(st.floats(0, 1), st.floats(0, 0.999)).map(
    lambda pair: (pair[0] * pair[1], (1 - pair[0]) * pair[1])
)
"""Fractions of validation and test structures whose sum is below 1."""


@settings(deadline=None)
@given(st.lists(labelled, max_size=12), fractions)
def test_a_split_is_a_partition_in_order(
    items: list[LabelledStructure], chosen: tuple[float, float]
) -> None:
    parts = split(items, *chosen)
    assert sum(len(members) for members in parts.values()) == len(items)
    for members in parts.values():
        numbers = [next(n for n, item in enumerate(items) if item is member) for member in members]
        assert numbers == sorted(set(numbers))


@settings(deadline=None)
@given(structures, fractions, levels)
def test_a_part_is_that_of_the_structure_at_any_level(
    atoms: Atoms, chosen: tuple[float, float], head: str
) -> None:
    twins = [LabelledStructure(atoms.copy(), 0.0), LabelledStructure(atoms, 1.0, head=head)]
    parts = split(twins, *chosen)
    assert sorted(len(members) for members in parts.values()) == [0, 0, 2]
    assert part_of(atoms, *chosen) == part_of(atoms.copy(), *chosen)


@settings(deadline=None)
@given(structures, fractions, st.floats(0, 1))
def test_a_larger_test_set_takes_from_the_others_only(
    atoms: Atoms, chosen: tuple[float, float], growth: float
) -> None:
    valid, test = chosen
    before = part_of(atoms, valid, test)
    after = part_of(atoms, valid, test + growth * (1 - valid - test))
    assert after in {"test": ("test",), "valid": ("valid", "test"), "train": PARTS}[before]


def test_no_fractions_and_all_in_test() -> None:
    atoms = clusters(50)
    assert {part_of(each, valid=0, test=0) for each in atoms} == {"train"}
    assert {part_of(each, valid=0, test=1) for each in atoms} == {"test"}
