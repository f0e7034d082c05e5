"""One step in TorchScript: neighbours, units, what is kept between calls, what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from ase import Atoms
from structures import adsorbate, far_apart, magnesia, one_atom, tiny_cell, triclinic, waters

from mhff.neighbours import neighbour_list
from mhff.ops.lists import near_edges, results_of_edges
from mhff_openmm.script.neighbours import find_pairs
from mhff_openmm.script.step import Step

ROUNDING = 1e-11
"""A, at coordinates of up to 1000 A."""
R_MAX = 5.0
SKIN = 1.0
SPRING = 3.0
"""Energy of a pair per squared distance, eV/A^2."""
KJ = 96.0
NM = 10.0


def strewn() -> Atoms:
    """Molecules cut by the box's faces and coordinates many boxes away."""
    atoms = waters(8, spacing=3.3)
    atoms.set_cell([[6.6, 0, 0], [2.1, 6.6, 0], [-1.2, 3.0, 6.6]])
    atoms.pbc = True
    images = np.random.default_rng(0).integers(-5, 6, (len(atoms), 3))
    atoms.positions += images @ atoms.cell[:]
    return atoms


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    build.__name__: build
    for build in (adsorbate, far_apart, magnesia, one_atom, strewn, tiny_cell, triclinic)
}
SCRIPTED = torch.jit.script(find_pairs)


def rows(index: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Edges as rows (receiver, sender, vector), in an order that does not depend on rounding."""
    table = np.column_stack([index[1], index[0], vectors])
    return table[np.lexsort(np.round(table, 6).T[::-1])]


@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("periodic", [False, True])
def test_pairs_are_those_of_the_neighbour_list(structure: str, periodic: bool) -> None:
    atoms = STRUCTURES[structure]()
    if periodic and not atoms.pbc.all():
        pytest.skip("this structure has no box")
    cell = atoms.cell[:]
    found = SCRIPTED(torch.from_numpy(atoms.positions), torch.from_numpy(cell), R_MAX, periodic)
    point_atoms, images, receivers, senders = (tensor.numpy() for tensor in found)
    points = atoms.positions[point_atoms] + images @ cell
    index = np.stack([point_atoms[senders], receivers])
    vectors = points[receivers] - points[senders]
    expected_index, expected = neighbour_list(atoms.positions, cell, np.full(3, periodic), R_MAX)
    assert (np.diff(index[1]) >= 0).all()
    edges = rows(index, vectors)
    right = rows(expected_index, expected)
    assert edges.shape == right.shape
    np.testing.assert_allclose(edges, right, rtol=0, atol=ROUNDING)


def test_many_atoms_are_searched_in_pieces() -> None:
    positions = np.random.default_rng(0).uniform(0, 60, (5000, 3))
    *_, receivers, senders = SCRIPTED(torch.from_numpy(positions), torch.zeros(3, 3), 3.0, False)
    index = np.stack([senders, receivers])
    expected, _ = neighbour_list(positions, np.zeros((3, 3)), np.zeros(3, dtype=bool), 3.0)
    assert index.shape == expected.shape
    assert set(map(tuple, index.T.tolist())) == set(map(tuple, expected.T.tolist()))


class Springs(torch.nn.Module):
    """Half of SPRING d^2 for each end of a pair, times the number of the head."""

    def forward(
        self,
        vectors: torch.Tensor,
        index: torch.Tensor,
        species: torch.Tensor,
        weights: torch.Tensor,
        plan: torch.Tensor,
        state: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        factors = torch.arange(1, weights.size(1) + 1).to(weights)
        halves = 1.5 * (vectors * vectors).sum(1)
        energies = torch.zeros_like(weights[:, 0]).index_add(0, index[1], halves)
        weight = (weights @ factors).index_select(0, index[1])
        return energies.unsqueeze(1) * factors, 3.0 * vectors * weight.unsqueeze(1)


class NearEdges(torch.nn.Module):
    """`mhff.ops.lists.near_edges` in TorchScript."""

    def forward(
        self,
        positions: torch.Tensor,
        before: torch.Tensor,
        atoms: torch.Tensor,
        shifts: torch.Tensor,
        senders: torch.Tensor,
        begin: torch.Tensor,
        r_max: float,
        r_min: float,
        limit: float,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        assert torch.equal(positions, before)
        assert limit == 0
        return near_edges(positions, before, atoms, shifts, senders, begin, r_max, r_min, limit)


class ResultsOfEdges(torch.nn.Module):
    """`mhff.ops.lists.results_of_edges` in TorchScript."""

    def forward(
        self,
        edge_gradients: torch.Tensor,
        edge_index: torch.Tensor,
        node_energies: torch.Tensor,
        head_weights: torch.Tensor,
        energy_unit: float,
        force_unit: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return results_of_edges(
            edge_gradients, edge_index, node_energies, head_weights, energy_unit, force_unit
        )


def step_of(n_atoms: int, subset: list[int] | None = None, skin: float = SKIN) -> Step:
    """The frozen script of a step, as OpenMM runs it, with springs as its program."""
    inputs = [
        torch.zeros(n_atoms, dtype=torch.int64),
        torch.zeros(1, dtype=torch.int64),
        torch.zeros(n_atoms, 2, dtype=torch.float64),
    ]
    head_map = torch.tensor([0.0, 1.0], dtype=torch.float64), torch.eye(2, dtype=torch.float64)
    indices = None if subset is None else torch.tensor(subset)
    programs = Springs(), NearEdges(), ResultsOfEdges()
    step = Step(programs, inputs, indices, head_map, (R_MAX, skin), (KJ, NM))
    return torch.jit.freeze(torch.jit.script(step.eval()), ["n_searches"])


ONE = torch.tensor([1.0, 0.0], dtype=torch.float64)
BOX = 2.0 * torch.eye(3, dtype=torch.float64)
PAIR = torch.tensor([[0.0, 0, 0], [0, 0, 0.15]], dtype=torch.float64)
"""Two atoms 1.5 A apart, nm."""


def test_energy_forces_and_derivatives_in_openmms_units() -> None:
    values = ONE.clone().requires_grad_()
    energy, forces = step_of(2)(PAIR.clone().requires_grad_(), BOX, True, values)
    of_first = SPRING * 1.5**2 * KJ
    assert energy.item() == pytest.approx(3 * of_first)  # weights 1 and 1, the offset being 0, 1
    pull = 3 * 2 * SPRING * 1.5 * KJ * NM
    np.testing.assert_allclose(forces, [[0, 0, pull], [0, 0, -pull]], rtol=1e-14)
    energy.backward()
    np.testing.assert_allclose(values.grad, [of_first, 2 * of_first], rtol=1e-14)


def test_a_subset_is_selected_inside() -> None:
    positions = torch.cat([PAIR, PAIR + 0.01])
    energy, forces = step_of(2, [3, 0])(positions, BOX, False, ONE)
    alone, of_pair = step_of(2)(positions[[3, 0]], BOX, False, ONE)
    assert energy.item() == alone.item()
    assert torch.equal(forces[[3, 0]], of_pair)
    assert not forces[[1, 2]].any()


def walk(skin: float, scale: Callable[[int], float]) -> int:
    """Searches in 40 steps of a liquid whose box is scaled; each step equals a fresh search."""
    atoms = strewn()
    generator = np.random.default_rng(1)
    kept = step_of(len(atoms), skin=skin)
    for number in range(40):
        atoms.set_cell(atoms.cell[:] * scale(number), scale_atoms=True)
        atoms.positions += generator.normal(scale=0.06, size=atoms.positions.shape)
        positions = torch.from_numpy(atoms.positions / NM)
        box = torch.from_numpy(atoms.cell[:] / NM)
        found = kept(positions, box, True, ONE)
        fresh = step_of(len(atoms), skin=0.0)(positions, box, True, ONE)
        for one, other in zip(found, fresh, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-8)
    return int(kept.n_searches)


@pytest.mark.slow
def test_a_list_is_kept_while_it_holds() -> None:
    assert 1 < walk(SKIN, lambda number: 1.0) < 20
    assert walk(0.0, lambda number: 1.0) == 40


@pytest.mark.slow
def test_a_list_is_kept_while_a_barostat_changes_the_box_a_little() -> None:
    assert walk(SKIN, lambda number: 1.002 if number % 2 else 1 / 1.002) < 20


def test_nothing_is_searched_if_nothing_moved() -> None:
    step = step_of(2, skin=0.0)
    for _ in range(3):
        step(PAIR, BOX, True, ONE)
    assert step.n_searches == 1


@pytest.mark.parametrize(
    ("positions", "values", "sentence"),
    [
        (PAIR * float("nan"), ONE, "expected finite positions and cell, got NaN or infinity"),
        (PAIR * float("inf"), ONE, "expected finite positions and cell, got NaN or infinity"),
        (PAIR * 1e-5, ONE, r"atoms \d and \d \(or periodic images of them\) coincide: they are"),
        (PAIR, ONE * float("inf"), "expected finite numbers, got the energy"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_in_a_sentence(
    positions: torch.Tensor, values: torch.Tensor, sentence: str
) -> None:
    with pytest.raises(torch.jit.Error, match=sentence):
        step_of(2)(positions, BOX, True, values)


def test_a_refused_step_leaves_the_list_usable() -> None:
    step = step_of(2)
    expected = step(PAIR, BOX, True, ONE)[0].item()
    with pytest.raises(torch.jit.Error):
        step(PAIR * float("nan"), BOX, True, ONE)
    assert step(PAIR, BOX, True, ONE)[0].item() == expected
