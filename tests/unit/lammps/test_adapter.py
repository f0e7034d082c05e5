"""One step of the LAMMPS adapter: the graph of LAMMPS' data, and what LAMMPS gets back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from lammps_data import NULL, R_MAX, Data, Instance, in_lammps
from manifests import manifest
from structures import triclinic
from tolerances import SAME_NUMBERS, assert_close

from mhff.errors import MHFFError
from mhff.graph import Graph, make_graph
from mhff.ops.pairs import PairOperators, reference_operators
from mhff_lammps.adapter import Adapter
from mhff_lammps.labels import Labels
from mhff_lammps.ranks import Ranks
from mhff_lammps.units import energy_unit

MVV2E_OF_REAL = 48.88821291 * 48.88821291
"""LAMMPS' factor of real units."""
KCAL_PER_EV = 23.060548
"""kcal/mol."""
CHAIN = Atoms("O3", positions=[[1.0, 0, 0], [3.0, 0, 0], [6.0, 0, 0]], cell=[20.0] * 3, pbc=True)


class Program:
    """Gives 1 + species to the first head, 10 times that to the second, and numbered gradients."""

    def __init__(self) -> None:
        self.capabilities = manifest(
            capabilities={"r_max": R_MAX, "precision": "float64"}
        ).capabilities
        self.graph = make_graph(*[torch.zeros(0)] * 3)

    def pair_operators(self, device: torch.device) -> PairOperators:
        return reference_operators(self.capabilities.dtype)

    def evaluate(
        self, graph: Graph, head_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        assert graph.state.tolist() == [[0.0, 1.0]] * graph.n_local
        self.graph = graph
        energies = (1.0 + graph.species.to(torch.float64)).outer(torch.tensor([1.0, 10.0]))
        n_edges = len(graph.edge_vectors)
        return energies, torch.arange(3.0 * n_edges).reshape(3, n_edges).T


def adapter(program: Program | None = None) -> Adapter:
    program = program or Program()
    can = program.capabilities
    return Adapter(program, Labels(can), Ranks())  # type: ignore[arg-type]


def graph_of(data: Data) -> Graph:
    """The graph that a program gets of LAMMPS' data."""
    program = Program()
    adapter(program).compute(data, Instance(data))
    return program.graph


def test_rows_are_the_listed_atoms_and_edges_point_to_the_centre() -> None:
    data = Data(CHAIN, [4, 1, 1])
    graph = graph_of(data)
    assert data.iatoms.tolist() == [2, 1, 0]
    assert graph.species.tolist() == [1, 1, 0]  # H, H, O
    assert graph.edge_index.tolist() == [[1, 2, 0, 1], [0, 1, 1, 2]]  # senders, receivers
    assert graph.edge_vectors[:, 0].tolist() == [3.0, 2.0, -3.0, -2.0]  # x_receiver - x_sender
    assert graph.n_ghosts == 0


def test_atoms_of_another_pair_style_have_no_row() -> None:
    graph = graph_of(Data(CHAIN, [4, NULL, 1]))
    assert graph.species.tolist() == [1, 0]
    assert graph.edge_index.shape == (2, 0)


def test_ghosts_are_replaced_by_their_owners() -> None:
    data = Data(in_lammps(triclinic()), [0, 1, 0, 1])
    graph = graph_of(data)
    row = {int(atom): position for position, atom in enumerate(data.iatoms)}
    senders = [row[int(atom) % data.nlocal] for atom in data.pair_j]  # ghosts come image by image
    assert max(data.pair_j) >= data.nlocal
    assert graph.edge_index[0].tolist() == senders
    assert graph.edge_index[1].tolist() == [row[int(atom)] for atom in data.pair_i]
    assert_close(graph.edge_vectors, -data.rij, SAME_NUMBERS)


def test_a_pair_with_an_atom_that_takes_no_part_is_never_evaluated() -> None:
    subject = adapter()
    data = Data(CHAIN, [4, NULL, 1])
    lammps = Instance(data)
    subject.compute(data, lammps)
    later = Data(CHAIN, [4, 1, 1])
    with pytest.raises(RuntimeError, match="its pair style does not list"):
        subject.compute(later, lammps.step(later, neigh_ago=1))


def test_no_pairs_and_no_atoms() -> None:
    for data, energy in (
        (Data(Atoms("O", cell=[20.0] * 3, pbc=True), [1]), 20.0),
        (Data(Atoms(), []), 0.0),
    ):
        assert graph_of(data).edge_vectors.shape == (0, 3)
        assert data.energy == energy


@pytest.mark.parametrize("units", ["metal", "real"])
def test_lammps_gets_negative_edge_gradients_in_its_units(units: str) -> None:
    data = Data(CHAIN, [0, 0, 0])
    bulk = np.zeros(3)  # of the head that does not drive
    lammps = Instance(data, {"d_mhff_bulk": bulk}, units=units, mvv2e=MVV2E_OF_REAL)
    factor = energy_unit(lammps)
    assert factor == pytest.approx({"metal": 1.0, "real": KCAL_PER_EV}[units], rel=1e-6)
    adapter().compute(data, lammps)
    assert data.energy == pytest.approx(30.0 * factor)
    assert data.eatoms == pytest.approx([10.0 * factor] * 3)
    assert bulk == pytest.approx([1.0 * factor] * 3)
    gradients = np.arange(12.0).reshape(3, 4).T
    assert data.pair_forces == pytest.approx(-factor * gradients)


def test_labels_are_read_at_every_step_and_warned_of_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    subject = adapter()
    data = Data(CHAIN, [0, 0, 1])
    energies = []
    for ago, last in enumerate((1, 2, 1)):  # O@gas, H@bulk, O@gas, without new neighbour lists
        data.relabel([0, 0, last])
        subject.compute(data, Instance(data, neigh_ago=ago))
        energies.append(data.energy)
    assert energies == [10 + 10 + 20, 10 + 10 + 1, 10 + 10 + 20]
    assert capsys.readouterr().out.count("was not trained on O") == 1


def test_images_pairs_and_settings_are_checked_when_lists_are_new() -> None:
    subject = adapter()
    data = Data(CHAIN, [0, 0, 1])
    subject.compute(data, Instance(data))
    data.keep_pairs(np.array([True, True, False, False]))
    subject.compute(data, Instance(data, neigh_ago=3))
    for not_older in (0, -1):  # -1: this LAMMPS does not tell
        with pytest.raises(MHFFError, match="the model does not receive 2 of 4 pairs"):
            subject.compute(data, Instance(data, neigh_ago=not_older))
    with pytest.raises(MHFFError, match=r"expected 'units metal'.*got 'units si'"):
        subject.compute(data, Instance(data, units="si"))


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
    lammps = Instance(start)
    subject.compute(start, lammps)
    moved = CHAIN.copy()
    moved.positions[-1, 1] += step
    data = Data(moved, [0, 0, 1])
    if not complete:
        data.keep_pairs(np.arange(data.npairs) < 2)
    age = {"neigh_ago": 30}
    if refused:
        with pytest.raises(MHFFError, match=r"does not receive .*neigh_modify every 1 delay 0"):
            subject.compute(data, lammps.step(data, **age))
    else:
        subject.compute(data, lammps.step(data, **age))


def test_a_box_that_shrinks_outruns_old_lists() -> None:
    crystal = Atoms("Mg", positions=[[0, 0, 0]], cell=[4.6, 9, 9], pbc=True)
    subject = adapter()
    start = Data(crystal, [0])
    lammps = Instance(start, neigh_skin=0.1)
    subject.compute(start, lammps)
    crystal.cell[0, 0] = 4.4
    data = Data(crystal, [0])
    data.keep_pairs(np.zeros(data.npairs, dtype=bool))
    with pytest.raises(MHFFError, match="does not receive 2 of 2 pairs"):
        subject.compute(data, lammps.step(data, neigh_ago=1, neigh_skin=0.1))


def test_virials_per_atom_are_warned_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    subject = adapter()
    for vflag, n_warnings in ((0, 0), (2, 0), (4, 1), (6, 0)):
        data = Data(CHAIN, [0, 0, 0], vflag=vflag)
        subject.compute(data, Instance(data))
        assert capsys.readouterr().out.count("compute heat/flux is wrong") == n_warnings


def test_atoms_that_run_into_each_other_are_refused_without_new_lists() -> None:
    subject = adapter()
    start = Data(CHAIN, [0, 0, 1])
    lammps = Instance(start)
    subject.compute(start, lammps)
    moved = CHAIN.copy()
    moved.positions[1] = moved.positions[0] + [0, 0, 1e-4]
    data = Data(moved, [0, 0, 1])
    with pytest.raises(MHFFError, match="coincide"):
        subject.compute(data, lammps.step(data, neigh_ago=30))
