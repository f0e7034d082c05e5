"""One step of the LAMMPS adapter: its input from LAMMPS' data, its output to LAMMPS."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms
from lammps_data import NULL, R_MAX, Data, instance
from manifests import manifest
from structures import triclinic
from tolerances import SAME_NUMBERS, assert_close

from mhff.errors import MHFFError
from mhff.graph import Graph
from mhff_lammps.adapter import (
    Adapter,
    owners_of_images,
    read_edges,
    read_labels,
    write_results,
)
from mhff_lammps.labels import Labels

CHAIN = Atoms("O3", positions=[[1.0, 0, 0], [3.0, 0, 0], [6.0, 0, 0]], cell=[20.0] * 3, pbc=True)


def owners(data: Data) -> np.ndarray:
    return owners_of_images(data.tags, data.nlocal)


def test_rows_are_the_listed_atoms_and_edges_point_to_the_centre() -> None:
    data = Data(CHAIN, [4, 1, 1])
    edge_vectors, edge_index = read_edges(data, owners(data))
    assert data.iatoms.tolist() == [2, 1, 0]
    assert read_labels(data).tolist() == [1, 1, 4]
    assert edge_index.tolist() == [[1, 2, 0, 1], [0, 1, 1, 2]]  # senders, receivers
    assert edge_vectors[:, 0].tolist() == [3.0, 2.0, -3.0, -2.0]  # x_receiver - x_sender


def test_atoms_of_another_pair_style_have_no_row() -> None:
    data = Data(CHAIN, [4, NULL, 1])
    _, edge_index = read_edges(data, owners(data))
    assert read_labels(data).tolist() == [1, 4]
    assert edge_index.shape == (2, 0)


def test_ghosts_are_replaced_by_their_owners() -> None:
    data = Data(triclinic(), [0, 1, 0, 1])
    edge_vectors, edge_index = read_edges(data, owners(data))
    row = {int(atom): position for position, atom in enumerate(data.iatoms)}
    senders = [row[int(atom) % data.nlocal] for atom in data.pair_j]  # ghosts come image by image
    assert max(data.pair_j) >= data.nlocal
    assert edge_index[0].tolist() == senders
    assert edge_index[1].tolist() == [row[int(atom)] for atom in data.pair_i]
    assert_close(edge_vectors, -data.rij, SAME_NUMBERS)


def test_a_pair_with_an_atom_that_takes_no_part_is_never_evaluated() -> None:
    data = Data(CHAIN, [4, 1, 1])
    data.keep_atoms(np.array([True, True, False]))
    with pytest.raises(RuntimeError, match="not in this pair style's list"):
        read_edges(data, owners(data))


def test_owners_of_images() -> None:
    tags = np.array([9, 2, 4, 4, 9, 2, 2])
    assert owners_of_images(tags, 3).tolist() == [0, 1, 2, 2, 0, 1, 1]
    assert owners_of_images(np.zeros(0, dtype=int), 0).tolist() == []
    with pytest.raises(MHFFError, match="remove 'atom_modify id no'"):
        owners_of_images(np.zeros(4, dtype=int), 2)


def test_no_pairs_and_no_atoms() -> None:
    single = Data(Atoms("O", cell=[20.0] * 3, pbc=True), [1])
    assert read_labels(single).tolist() == [1]
    assert [tensor.shape for tensor in read_edges(single, owners(single))] == [(0, 3), (2, 0)]
    nothing = Data(Atoms(), [])
    assert read_labels(nothing).shape == (0,)
    assert [tensor.shape for tensor in read_edges(nothing, owners(nothing))] == [(0, 3), (2, 0)]
    write_results(nothing, np.zeros(0), np.zeros((0, 3)))
    assert nothing.energy == 0.0


def test_lammps_gets_negative_edge_gradients() -> None:
    data = Data(CHAIN, [1, 1, 1])
    gradients = np.arange(12.0).reshape(3, 4).T
    write_results(data, np.array([1.0, 2.0, 4.0]), gradients)
    assert data.energy == 7.0
    assert data.eatoms.tolist() == [1.0, 2.0, 4.0]
    assert data.pair_forces.tolist() == (-gradients).tolist()


@pytest.mark.parametrize("energies", [[np.nan, 0.0, 0.0], [np.inf, 0.0, 0.0]])
def test_numbers_that_are_not_finite_are_refused(energies: list[float]) -> None:
    with pytest.raises(MHFFError, match="expected finite numbers"):
        write_results(Data(CHAIN, [1, 1, 1]), np.array(energies), np.zeros((4, 3)))


def adapter() -> Adapter:
    """An adapter whose program gives 1 + species to the first head, 10 times that to the second."""

    def evaluate(graph: Graph, head_weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        assert graph.state.tolist() == [[0.0, 1.0]] * graph.n_local
        energies = (1.0 + graph.species.to(torch.float64)).outer(torch.tensor([1.0, 10.0]))
        return energies, torch.zeros_like(graph.edge_vectors)

    can = manifest(capabilities={"r_max": R_MAX}).capabilities
    program = SimpleNamespace(evaluate=evaluate, capabilities=can)
    return Adapter(program, Labels(can))  # type: ignore[arg-type]


def test_labels_are_read_at_every_step_and_warned_of_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    subject = adapter()
    data = Data(CHAIN, [0, 0, 1])
    energies = []
    for ago, last in enumerate((1, 2, 1)):  # O@gas, H@bulk, O@gas, without new neighbour lists
        data.relabel([0, 0, last])
        subject.compute(data, instance(data, neigh_ago=ago))
        energies.append(data.energy)
    assert energies == [10 + 10 + 20, 10 + 10 + 1, 10 + 10 + 20]
    assert capsys.readouterr().out.count("was not trained on O") == 1


def test_images_pairs_and_settings_are_checked_when_lists_are_new() -> None:
    subject = adapter()
    data = Data(CHAIN, [0, 0, 1])
    subject.compute(data, instance(data))
    data.keep_pairs(np.array([True, True, False, False]))
    subject.compute(data, instance(data, neigh_ago=3))
    for not_older in (0, -1):  # -1: this LAMMPS does not tell
        with pytest.raises(MHFFError, match="the model does not receive 2 of 4 pairs"):
            subject.compute(data, instance(data, neigh_ago=not_older))
    with pytest.raises(MHFFError, match="expected 'units metal'"):
        subject.compute(data, instance(data, units="real"))


@pytest.mark.parametrize(
    ("step", "complete", "refused"),
    [(0.9, True, False), (0.9, False, False), (1.1, True, False), (1.1, False, True)],
)
def test_pairs_are_checked_when_atoms_outrun_old_lists(
    step: float, complete: bool, refused: bool
) -> None:
    """`neigh_modify once yes` gave energies without the pairs that had come into reach."""
    subject = adapter()
    start = Data(CHAIN, [0, 0, 1])
    subject.compute(start, instance(start))
    moved = CHAIN.copy()
    moved.positions[-1, 1] += step
    data = Data(moved, [0, 0, 1])
    if not complete:
        data.keep_pairs(np.arange(data.npairs) < 2)
    age = {"neigh_ago": 30}
    if refused:
        with pytest.raises(MHFFError, match=r"does not receive .*neigh_modify every 1 delay 0"):
            subject.compute(data, instance(data, **age))
    else:
        subject.compute(data, instance(data, **age))


def test_a_box_that_shrinks_outruns_old_lists() -> None:
    crystal = Atoms("Mg", positions=[[0, 0, 0]], cell=[4.6, 9, 9], pbc=True)
    subject = adapter()
    start = Data(crystal, [0])
    subject.compute(start, instance(start, neigh_skin=0.1))
    crystal.cell[0, 0] = 4.4
    data = Data(crystal, [0])
    data.keep_pairs(np.zeros(data.npairs, dtype=bool))
    with pytest.raises(MHFFError, match="does not receive 2 of 2 pairs"):
        subject.compute(data, instance(data, neigh_ago=1, neigh_skin=0.1))


def test_virials_per_atom_are_warned_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    subject = adapter()
    for vflag, n_warnings in ((0, 0), (2, 0), (4, 1), (6, 0)):
        data = Data(CHAIN, [0, 0, 0], vflag=vflag)
        subject.compute(data, instance(data))
        assert capsys.readouterr().out.count("compute heat/flux is wrong") == n_warnings
