"""Refusals of the LAMMPS adapter: missing pairs and atoms, coinciding atoms, settings."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms
from lammps_data import NULL, R_MAX, Data, Instance, in_lammps
from structures import rattled_bulk, slab, tiny_cell, triclinic, water_cluster

from mhff.errors import MHFFError
from mhff.ops.pairs import count_pairs
from mhff_lammps.checks import (
    ENERGY_PER_ATOM,
    VIRIAL_PER_ATOM,
    AtomVirials,
    check_finite,
    check_instance,
    check_lost,
    check_pairs,
    check_settings,
    check_tags,
    shortest_distance,
)
from mhff_lammps.coupling import read_arrays
from mhff_lammps.ranks import Ranks

STRUCTURES = (rattled_bulk, slab, tiny_cell, triclinic, water_cluster)


def check(data: Data) -> None:
    """One rank's check, and that of several ranks, which trusts LAMMPS' ghosts."""
    box = (data.atoms.cell[:], data.atoms.pbc)
    for images in (box, None):
        check_pairs(Instance(data), data, read_arrays(data), R_MAX, images, count_pairs)


@pytest.mark.parametrize("make", STRUCTURES)
def test_complete_pairs_are_accepted(make) -> None:
    data = Data(in_lammps(make()), [0] * len(make()))
    assert data.npairs
    check(data)


@pytest.mark.parametrize("make", STRUCTURES)
def test_one_missing_pair_is_refused_with_the_ids_of_its_atoms(make) -> None:
    data = Data(in_lammps(make()), [0] * len(make()))
    kept = np.ones(data.npairs, dtype=bool)
    kept[data.npairs // 2] = False
    tags = sorted(data.tags[[data.pair_i[~kept][0], data.pair_j[~kept][0]]])
    n_pairs = data.npairs
    data.keep_pairs(kept)
    sentence = rf"receive 1 of {n_pairs} pairs .* such as atoms {tags[0]} and {tags[1]}, but"
    with pytest.raises(MHFFError, match=sentence):
        check(data)


def test_no_pair_at_all_is_refused_if_there_should_be_some() -> None:
    data = Data(in_lammps(triclinic()), [0] * 4)
    n_pairs = data.npairs
    data.keep_pairs(np.zeros(n_pairs, dtype=bool))
    with pytest.raises(MHFFError, match=f"does not receive {n_pairs} of {n_pairs} pairs"):
        check(data)


def test_a_missing_atom_is_refused_even_without_neighbours() -> None:
    atoms = Atoms("OO", positions=[[1, 1, 1], [50, 50, 50]], cell=[100.0] * 3, pbc=True)
    data = Data(atoms, [0, 0])
    check(data)
    data.keep_atoms(np.array([True, False]))
    with pytest.raises(MHFFError, match="does not receive 1 of 2 atoms"):
        check(data)


def test_atoms_of_another_pair_style_and_their_pairs_may_be_missing() -> None:
    labels = [0, NULL, 0, NULL]
    data = Data(in_lammps(triclinic()), labels)
    assert data.npairs
    check(data)


def test_nothing_is_missing_without_atoms() -> None:
    check(Data(Atoms(pbc=True, cell=[10.0] * 3), []))
    check(Data(Atoms("O", cell=[10.0] * 3, pbc=True), [NULL]))


@pytest.mark.parametrize("offset", [-1e-9, 0.0, 1e-9])
@pytest.mark.parametrize("given", [False, True])
def test_a_pair_at_the_cutoff_may_be_on_either_side(offset: float, given: bool) -> None:
    atoms = Atoms("OO", positions=[[1, 1, 1], [1, 1, 1 + R_MAX + offset]])
    data = Data(atoms, [0, 0], r_max=R_MAX + (1e-6 if given else -1e-6))
    assert data.npairs == (2 if given else 0)
    check(data)


@pytest.mark.parametrize("offset", [-9e-7, -1e-6, -1.1e-6])
def test_rounding_near_the_cutoff_hides_no_missing_pair(offset: float) -> None:
    positions = [[1, 1, 1], [1, 1, 1 + R_MAX + offset], [1, 3, 1]]
    data = Data(Atoms("OOO", positions=positions), [0, 0, 0])
    data.keep_pairs(np.abs(data.rij[:, 1]) < 1.0)
    with pytest.raises(MHFFError, match="such as atoms 1 and 3"):
        check(data)


@pytest.mark.parametrize("distance", [0.0, 1e-16, 1e-5, 9e-4])
def test_coinciding_atoms_are_refused_with_their_ids(distance: float) -> None:
    atoms = Atoms("OOO", positions=[[0, 0, 0], [2, 2, 2], [0, 0, distance]])
    data = Data(atoms, [0, 0, 0])
    with pytest.raises(MHFFError, match=r"atoms (3 and 1|1 and 3) \(or .*\) coincide"):
        shortest_distance(Instance(data), read_arrays(data))


def test_a_copy_shifted_by_a_lattice_vector_coincides() -> None:
    atoms = rattled_bulk()
    atoms += atoms[2:3]
    atoms.positions[-1] += atoms.cell[0]
    data = Data(atoms, [0] * len(atoms))
    with pytest.raises(MHFFError, match="coincide"):
        shortest_distance(Instance(data), read_arrays(data))


def test_atoms_at_a_short_distance_do_not_coincide() -> None:
    data = Data(Atoms("OO", positions=[[0, 0, 0], [0, 0, 2e-3]]), [0, 0])
    shortest_distance(Instance(data), read_arrays(data))
    assert data.npairs == 2
    shortest_distance(Instance(data), read_arrays(Data(Atoms("O"), [0])))


def test_wrong_settings_are_refused() -> None:
    data = Data(triclinic(), [0] * 4)
    check_settings(data)
    data.natomneigh = data.ntotal
    with pytest.raises(MHFFError, match="expected 'pair_style mliap unified FILE 0', got 1"):
        check_settings(data)


def test_atoms_without_ids_are_refused() -> None:
    check_tags(np.array([3, 1]))
    check_tags(np.zeros(0, dtype=int))
    with pytest.raises(MHFFError, match="remove 'atom_modify id no'"):
        check_tags(np.zeros(4, dtype=int))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_refused_with_the_id_of_its_atom(wrong: float) -> None:
    data = Data(Atoms("OOO", positions=[[1, 1, 1], [1, 1, 3], [1, 1, 5]]), [0, 0, 0])
    arrays = read_arrays(data)
    energies = torch.zeros(3, dtype=torch.float64)
    gradients = torch.zeros(data.npairs, 3, dtype=torch.float64)
    check_finite(Instance(data), arrays, 0.0, energies, gradients)
    energies[1] = wrong
    with pytest.raises(MHFFError, match="atom 2 that is not finite"):
        check_finite(Instance(data), arrays, wrong, energies, gradients)
    gradients[0, 1] = wrong
    first = data.tags[data.pair_i[0]]
    with pytest.raises(MHFFError, match=f"atom {first} that is not finite"):
        check_finite(Instance(data), arrays, wrong, torch.zeros(3), gradients)


def test_another_instance_is_refused() -> None:
    data = Data(triclinic(), [0] * 4)
    check_instance(Instance(data), data)
    for changes in ({"nlocal": 3}, {"nall": 17}):
        with pytest.raises(MHFFError, match="evaluates 4 atoms, but the instance that mhff knows"):
            check_instance(Instance(data, **changes), data)


@pytest.mark.parametrize("wrong", [np.nan, -np.inf])
def test_a_position_that_is_not_finite_is_refused_with_the_id_of_its_atom(wrong: float) -> None:
    data = Data(in_lammps(triclinic()), [0] * 4)
    data.positions[2, 1] = wrong
    with pytest.raises(MHFFError, match=f"finite positions, got one of atom {data.tags[2]} that"):
        check(data)


def test_lost_atoms_are_refused_with_an_id() -> None:
    data = Data(in_lammps(triclinic()), [0] * 4)
    before = data.tags[:4]
    pbc = np.ones(3, dtype=bool)
    check_lost(Instance(data), Ranks(), pbc, before, before)
    with pytest.raises(MHFFError, match=r"LAMMPS has lost 1 of 4 atoms, such as atom 3, which"):
        check_lost(Instance(data), Ranks(), pbc, before[before != 3], before)


def test_atoms_may_leave_an_open_box() -> None:
    data = Data(slab(), [0] * len(slab()))
    tags = data.tags[: data.nlocal]
    check_lost(Instance(data), Ranks(), np.array([True, True, False]), tags[1:], tags)


class DataOfKokkos(SimpleNamespace):
    """What the coupling of KOKKOS says about a step."""

    __module__ = "mliap_unified_couple_kokkos"


def test_virials_per_atom_need_room_for_as_many_energies() -> None:
    """LAMMPS' array has as many rows as atoms had room when energies were last asked for."""
    small = SimpleNamespace(extract_setting={"nmax": 50}.__getitem__)
    large = SimpleNamespace(extract_setting={"nmax": 200}.__getitem__)
    virials = AtomVirials()
    steps = (
        (small, 0, 40, False),
        (small, ENERGY_PER_ATOM, 40, True),
        (small, 0, 50, True),
        (large, 0, 51, False),
        (large, ENERGY_PER_ATOM, 51, True),
        (small, ENERGY_PER_ATOM, 200, True),
    )
    for lammps, eflag, n_atoms, fits in steps:
        step = {"eflag": 1 | eflag, "ntotal": n_atoms}
        virials.check(lammps, DataOfKokkos(vflag=2, **step))
        virials.check(lammps, SimpleNamespace(vflag=VIRIAL_PER_ATOM, **step))
        asked = DataOfKokkos(vflag=2 | VIRIAL_PER_ATOM, **step)
        if fits:
            virials.check(lammps, asked)
        else:
            with pytest.raises(MHFFError, match="add 'compute e all pe/atom'"):
                virials.check(lammps, asked)
