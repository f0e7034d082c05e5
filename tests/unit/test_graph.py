"""The record of an evaluation: its table, defaults, batches, and what evaluators refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import structures
import torch
from hypothesis import given
from hypothesis import strategies as st
from models import random_model
from structures import ELEMENTS, no_atoms, one_atom, tiny_cell, water_cluster

from mhff import MHFFError
from mhff.atoms import graph_from_atoms
from mhff.evaluator import EagerEvaluator
from mhff.graph import (
    DEFAULT_STATE,
    FIELDS,
    PROGRAM_INPUTS,
    Graph,
    collate,
    from_program_inputs,
    make_graph,
    program_inputs,
)
from mhff.ops.ghosts import owner_plan

R_MAX = 4.3
N_HEADS = 3
Change = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module")
def evaluator() -> EagerEvaluator:
    return EagerEvaluator(random_model("mp", n_channels=2, correlation=1))


@pytest.fixture
def graph(evaluator: EagerEvaluator) -> Graph:
    known = evaluator.capabilities
    return graph_from_atoms(structures.rattled_bulk(), known.elements, known.r_max)


def weights_of(graph: Graph) -> torch.Tensor:
    return torch.ones(graph.n_local, N_HEADS, dtype=torch.float64)


def with_number(tensor: torch.Tensor, place: tuple[int, ...], value: int) -> torch.Tensor:
    changed = tensor.clone()
    changed[place] = value
    return changed


def with_one_ghost(graph: Graph, owner: int = 0) -> Graph:
    """The graph with a ghost of an atom, which sends the first edge."""
    return replace(
        graph,
        edge_index=with_number(graph.edge_index, (0, 0), graph.n_local),
        species=torch.cat([graph.species, graph.species[:1]]),
        state=torch.cat([graph.state, graph.state[:1]]),
        ghost_plan=owner_plan(torch.tensor([owner])),
    )


def assert_equal(found: Graph, expected: Graph) -> None:
    assert found.n_local == expected.n_local
    for field in FIELDS:
        assert torch.equal(getattr(found, field.name), getattr(expected, field.name)), field.name


@st.composite
def graphs(draw: st.DrawFn, max_ghosts: int = 0) -> Graph:
    """A graph of random numbers with up to six atoms."""
    n_local, n_edges = draw(st.integers(0, 6)), draw(st.integers(0, 9))
    ghosts = draw(st.integers(0, max_ghosts)) if n_local else 0
    if n_local == 0:
        n_edges = 0
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    n_all = n_local + ghosts
    sender = torch.randint(0, max(n_all, 1), (n_edges,), generator=generator)
    receiver = torch.randint(0, max(n_local, 1), (n_edges,), generator=generator)
    return make_graph(
        torch.randn(n_edges, 3, generator=generator, dtype=torch.float64),
        torch.stack([sender, receiver]),
        torch.randint(0, len(ELEMENTS), (n_all,), generator=generator),
        ghost_plan=owner_plan(torch.randint(0, max(n_local, 1), (ghosts,), generator=generator)),
        state=torch.randn(n_all, 2, generator=generator, dtype=torch.float64),
    )


class TestTable:
    def test_program_inputs_are_in_the_order_that_compiled_files_have(self) -> None:
        assert [field.name for field in PROGRAM_INPUTS] == [
            "edge_vectors",
            "edge_index",
            "species",
            "head_weights",
            "ghost_plan",
            "state",
        ]

    def test_what_is_not_given_has_its_default(self) -> None:
        graph = make_graph(
            torch.zeros(0, 3), torch.zeros(2, 0, dtype=torch.int64), torch.tensor([1, 1, 0])
        )
        assert (graph.n_local, graph.n_ghosts, graph.n_structures) == (3, 0, 1)
        assert graph.state.tolist() == [list(DEFAULT_STATE)] * 3
        assert graph.structure.tolist() == [0, 0, 0]
        assert not graph.cells.any()

    @given(graphs(max_ghosts=4))
    def test_program_inputs_and_back(self, graph: Graph) -> None:
        weights = torch.rand(graph.n_local, N_HEADS, dtype=torch.float64)
        inputs = program_inputs(graph, weights, torch.device("cpu"), torch.float64)
        found, found_weights = from_program_inputs(inputs)
        assert_equal(found, graph)
        assert torch.equal(found_weights, weights)

    def test_to_changes_floating_point_fields_only(self) -> None:
        graph = graph_from_atoms(tiny_cell(), ELEMENTS, R_MAX).to("cpu", torch.float32)
        assert graph.edge_vectors.dtype == graph.cells.dtype == torch.float32
        assert graph.edge_index.dtype == graph.species.dtype == torch.int64
        assert graph.state.dtype == torch.float64, "a charge is a number, not a feature"


class TestCollate:
    def test_structures_keep_their_edges_and_cells(self) -> None:
        several = [water_cluster(), no_atoms(), tiny_cell(), one_atom()]
        alone = [graph_from_atoms(atoms, ELEMENTS, R_MAX) for atoms in several]
        batch = collate(alone)
        assert (batch.n_local, batch.n_structures) == (12, 4)
        assert batch.structure.tolist() == [0] * 9 + [2] * 2 + [3]
        offset = 0
        for index, graph in enumerate(alone):
            mine = batch.structure_of_edge == index
            assert torch.equal(batch.edge_vectors[mine], graph.edge_vectors)
            assert torch.equal(batch.edge_index[:, mine] - offset, graph.edge_index)
            assert torch.equal(batch.cells[index], graph.cells[0])
            offset += graph.n_local

    @given(st.lists(graphs(), min_size=1, max_size=5))
    def test_a_batch_is_a_concatenation(self, several: list[Graph]) -> None:
        batch = collate(several)
        assert batch.n_local == sum(graph.n_local for graph in several)
        assert batch.n_structures == len(several)
        for name in ("edge_vectors", "species", "state", "cells"):
            assert torch.equal(
                getattr(batch, name), torch.cat([getattr(graph, name) for graph in several])
            )
        first_atom, first_edge = 0, 0
        for number, graph in enumerate(several):
            edges = slice(first_edge, first_edge + len(graph.edge_vectors))
            atoms = slice(first_atom, first_atom + graph.n_local)
            assert torch.equal(batch.edge_index[:, edges], graph.edge_index + first_atom)
            assert (batch.structure[atoms] == number).all()
            first_edge, first_atom = edges.stop, atoms.stop

    @given(st.lists(graphs(), min_size=2, max_size=5), st.integers(1, 4))
    def test_batches_of_batches_are_batches(self, several: list[Graph], cut: int) -> None:
        cut = min(cut, len(several) - 1)
        nested = collate([collate(several[:cut]), collate(several[cut:])])
        assert_equal(nested, collate(several))

    def test_ghosts_have_no_place_in_a_batch(self, graph: Graph) -> None:
        with pytest.raises(ValueError, match="expected graphs without ghosts"):
            collate([graph, with_one_ghost(graph)])


class TestRefusals:
    """Evaluators refuse what a program would read beyond the end of."""

    def test_good_graphs_are_taken(self, evaluator: EagerEvaluator, graph: Graph) -> None:
        evaluator.evaluate(graph, weights_of(graph))
        evaluator.evaluate(with_one_ghost(graph), weights_of(graph))

    def test_an_empty_system_is_taken(self, evaluator: EagerEvaluator) -> None:
        graph = graph_from_atoms(no_atoms(), ELEMENTS, R_MAX)
        energies, gradients = evaluator.evaluate(graph, weights_of(graph))
        assert (energies.shape, gradients.shape) == ((0, N_HEADS), (0, 3))

    @pytest.mark.parametrize("value", [-1, -(10**9), 10**9, "n"])
    @pytest.mark.parametrize("row", [0, 1])
    def test_atoms_that_are_not_there(
        self, evaluator: EagerEvaluator, graph: Graph, row: int, value: int | str
    ) -> None:
        number = graph.n_local if value == "n" else int(value)
        wrong = replace(graph, edge_index=with_number(graph.edge_index, (row, 2), number))
        with pytest.raises(
            MHFFError,
            match=rf"^edge_index\[{row}\] contains {number}, but valid indices are 0 to "
            rf"{graph.n_local - 1}; correct the graph$",
        ):
            evaluator.evaluate(wrong, weights_of(graph))

    def test_ghosts_do_not_receive(self, evaluator: EagerEvaluator, graph: Graph) -> None:
        wrong = with_one_ghost(graph)
        index = with_number(wrong.edge_index, (1, 0), graph.n_local)
        with pytest.raises(
            MHFFError, match=rf"edge_index\[1\] .*0 to {graph.n_local - 1}; correct"
        ):
            evaluator.evaluate(replace(wrong, edge_index=index), weights_of(graph))

    @pytest.mark.parametrize("owner", [-1, 8, 10**9])
    def test_owners_that_are_not_there(
        self, evaluator: EagerEvaluator, graph: Graph, owner: int
    ) -> None:
        with pytest.raises(
            MHFFError,
            match=rf"^ghost_plan \(owners\) contains {owner}, but valid indices are 0 to 7; ",
        ):
            evaluator.evaluate(with_one_ghost(graph, owner), weights_of(graph))

    @pytest.mark.parametrize("value", [-1, 5])
    def test_species_that_are_not_there(
        self, evaluator: EagerEvaluator, graph: Graph, value: int
    ) -> None:
        wrong = replace(graph, species=with_number(graph.species, (1,), value))
        with pytest.raises(
            MHFFError, match=rf"^species contains {value}, but valid indices are 0 to 4; correct"
        ):
            evaluator.evaluate(wrong, weights_of(graph))

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (
                lambda x: x[:, :2],
                r"head_weights \[n_local, n_heads\] of shape \[8, 3\], got \[8, 2\]; give it that",
            ),
            (lambda x: torch.cat([x, x], 1), r"of shape \[8, 3\], got \[8, 6\]; give it that"),
            (lambda x: x[0], r"of shape \[8, 3\], got \[3\]; give it that"),
            (lambda x: x[:-1], r"of shape \[8, 3\], got \[7, 3\]; give it that"),
        ],
    )
    def test_wrong_head_weights(
        self, evaluator: EagerEvaluator, graph: Graph, change: Change, sentence: str
    ) -> None:
        with pytest.raises(MHFFError, match=f"^expected .*{sentence}"):
            evaluator.evaluate(graph, change(weights_of(graph)))

    @pytest.mark.parametrize(
        ("name", "change", "sentence"),
        [
            ("species", lambda x: x[:-1], r"species \[n_all\] of shape \[8\], got \[7\]"),
            ("species", lambda x: x[:, None], r"species \[n_all\] of shape \[8\], got \[8, 1\]"),
            (
                "species",
                lambda x: x.int(),
                r"species of type torch\.int64, got torch\.int32; convert it",
            ),
            ("edge_index", lambda x: x.T, r"edge_index \[2, E\] of shape \[2, \d+\]"),
            (
                "edge_index",
                lambda x: x.double(),
                r"edge_index of type torch\.int64, got torch\.float64; convert it",
            ),
            ("edge_vectors", lambda x: x[:-1], r"edge_index \[2, E\] of shape"),
            ("edge_vectors", lambda x: x[:, :2], r"edge_vectors \[E, 3\] of shape"),
            ("edge_vectors", lambda x: x.flatten(), r"edge_vectors \[E, 3\] of shape"),
            ("state", lambda x: x[:1], r"state \[n_all, 2\] of shape \[8, 2\], got \[1, 2\]"),
            (
                "ghost_plan",
                lambda x: torch.zeros(0, dtype=torch.int64),
                r"ghost_plan \[n_plan\] of shape \[1\], got \[0\]",
            ),
            ("ghost_plan", lambda x: owner_plan(torch.tensor([1])), r"species \[n_all\] of shape"),
        ],
    )
    def test_wrong_shapes_and_types(
        self, evaluator: EagerEvaluator, graph: Graph, name: str, change: Change, sentence: str
    ) -> None:
        wrong = replace(graph, **{name: change(getattr(graph, name))})
        with pytest.raises(MHFFError, match=f"^expected {sentence}"):
            evaluator.evaluate(wrong, weights_of(graph))
