"""Padding and replay of small systems give the program's own numbers; CUDA graphs are faked."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import structures
import torch
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from models import random_model
from programs import cached
from tolerances import ROUNDING, assert_close

from mhff.atoms import graph_from_atoms
from mhff.graph import from_program_inputs, make_graph, program_inputs
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.opening import open_evaluator
from mhff.ops.ghosts import owner_plan
from mhff_deploy.artefact.cuda_graphs import (
    EDGES_OF_PADDING_ATOM,
    MAX_GRAPHS,
    MIN_EDGE_STEP,
    STEPS_BEFORE_RECORDING,
    CudaRecorder,
    GraphedProgram,
    Program,
    Results,
    Sizes,
    Slot,
    padded_sizes,
)
from mhff_deploy.artefact.runtime import ArtefactEvaluator
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.networks import tabulate_radial

R_MAX = 4.0
CPU = torch.device("cpu")
Inputs = tuple[torch.Tensor, ...]


class Recorder:
    """Calls the program for each replay and, like a CUDA graph, writes results to one place."""

    def __init__(self) -> None:
        self.recorded: list[tuple[int, int]] = []

    def __call__(self, program: Program, inputs: Inputs) -> Callable[[], Results]:
        self.recorded.append((len(inputs[2]), len(inputs[0])))
        results = program(*inputs)

        def replay() -> Results:
            for place, value in zip(results, program(*inputs), strict=True):
                place.copy_(value)
            return results

        return replay


def inputs_of(
    atoms: Atoms, elements: tuple[str, ...], r_max: float = R_MAX, n_heads: int = 3
) -> Inputs:
    generator = torch.Generator().manual_seed(1)
    weights = torch.rand(len(atoms), n_heads, generator=generator, dtype=torch.float64)
    return program_inputs(graph_from_atoms(atoms, elements, r_max), weights, CPU, torch.float64)


def eager(network: Any) -> Program:
    def program(*inputs: torch.Tensor) -> Results:
        return energies_and_edge_gradients(network, *from_program_inputs(inputs))

    return program


@pytest.mark.parametrize("lowered", [False, True])
@pytest.mark.parametrize("name", ["mh1", "mp", "density", "omol", "plain"])
def test_padding_changes_nothing(name: str, lowered: bool) -> None:
    network = random_model(name).network.double().requires_grad_(False)
    program = eager(LoweredNetwork(network, tabulate_radial(network, 32)) if lowered else network)
    for build in structures.STRUCTURES.values():
        inputs = inputs_of(build(), network.config.elements)
        n_atoms, n_edges = len(inputs[2]), len(inputs[0])
        slot = Slot(padded_sizes(n_atoms, n_edges), inputs, R_MAX)
        for _ in range(2):  # the second time over what the first left
            energies, gradients = program(*slot.fill(inputs))
            expected = program(*inputs)
            assert_close(energies[:n_atoms], expected[0], ROUNDING)
            assert_close(gradients[:n_edges], expected[1], ROUNDING)
            assert energies.isfinite().all()
            assert gradients.isfinite().all()
            assert not gradients[n_edges:].any()


def test_replayed_steps_of_a_compiled_program_are_its_own() -> None:
    evaluator = open_evaluator(cached("mini", precision="float64", form="aoti"))
    assert isinstance(evaluator, ArtefactEvaluator)
    assert evaluator.tables is not None
    known = evaluator.capabilities
    tables = evaluator.tables.of(torch.zeros(1, dtype=torch.int64))

    def exact(*inputs: torch.Tensor) -> Results:
        return evaluator.program(*inputs, *tables)

    program = GraphedProgram(exact, known.r_max, recorder := Recorder())
    for step in range(STEPS_BEFORE_RECORDING + 3):
        atoms = structures.rattled_bulk()
        atoms.rattle(0.02, seed=step)
        inputs = inputs_of(atoms, known.elements, known.r_max, len(known.heads))
        for found, expected in zip(program(*inputs), exact(*inputs), strict=True):
            assert_close(found, expected, ROUNDING)
    assert len(recorder.recorded) == 1


@given(n_atoms=st.integers(1, 5000), n_edges=st.integers(0, 2**22))
def test_padding_is_short_and_ends_at_sizes_that_stay(n_atoms: int, n_edges: int) -> None:
    sizes = padded_sizes(n_atoms, n_edges)
    padding = sizes.n_edges - n_edges
    assert 0 <= padding <= max(MIN_EDGE_STEP, n_edges / 16)
    assert sizes.n_edges > 0
    assert sizes.n_atoms > n_atoms
    assert padding <= EDGES_OF_PADDING_ATOM * (sizes.n_atoms - n_atoms)
    assert padded_sizes(n_atoms, sizes.n_edges).n_edges == sizes.n_edges


@given(n_atoms=st.integers(1, 5000), n_edges=st.integers(0, 2**22), more=st.integers(0, 1000))
def test_more_edges_never_make_a_smaller_size(n_atoms: int, n_edges: int, more: int) -> None:
    fewer, greater = padded_sizes(n_atoms, n_edges), padded_sizes(n_atoms, n_edges + more)
    assert fewer.n_edges <= greater.n_edges
    assert fewer.n_atoms <= greater.n_atoms


def test_sizes_are_few() -> None:
    assert len({padded_sizes(54, n_edges) for n_edges in range(2**14, 2**15 + 1)}) == 17
    assert padded_sizes(54, 0) == Sizes(55, MIN_EDGE_STEP)


def chain(n_atoms: int, n_edges: int, n_ghosts: int = 0) -> Inputs:
    """Inputs of any size."""
    generator = torch.Generator().manual_seed(n_atoms + 7 * n_edges)
    graph = make_graph(
        torch.randn(n_edges, 3, generator=generator, dtype=torch.float64),
        torch.randint(0, max(n_atoms, 1), (2, n_edges), generator=generator),
        torch.ones(n_atoms + n_ghosts, dtype=torch.int64),
        ghost_plan=owner_plan(torch.zeros(n_ghosts, dtype=torch.int64)),
    )
    return program_inputs(graph, torch.ones(n_atoms, 2), CPU, torch.float64)


def simple(*inputs: torch.Tensor) -> Results:
    """A program that sums the lengths of an atom's edges."""
    graph, weights = from_program_inputs(inputs)
    lengths = graph.edge_vectors.norm(dim=1)
    sums = lengths.new_zeros(graph.n_local).index_add(0, graph.edge_index[1], lengths)
    own = graph.species[: graph.n_local] + graph.state[: graph.n_local, 0]
    return sums[:, None] * weights + own[:, None], 2 * graph.edge_vectors


def test_the_third_step_of_a_size_is_recorded_and_earlier_results_stay() -> None:
    program = GraphedProgram(simple, R_MAX, recorder := Recorder())
    kept = []
    for step in range(6):
        inputs = chain(5, 20 + step)
        kept.append((program(*inputs), simple(*inputs)))
        assert len(recorder.recorded) == (step >= STEPS_BEFORE_RECORDING)
    for found, expected in kept:
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)
    assert recorder.recorded == [padded_sizes(5, 20)]


def test_what_is_not_replayed() -> None:
    program = GraphedProgram(simple, R_MAX, recorder := Recorder(), max_atoms=9)
    for inputs in (chain(5, 20, n_ghosts=2), chain(10, 20), chain(0, 0)):
        for _ in range(STEPS_BEFORE_RECORDING + 2):
            for one, other in zip(program(*inputs), simple(*inputs), strict=True):
                assert torch.equal(one, other)
    assert recorder.recorded == []


def test_the_least_recently_used_recording_goes_first() -> None:
    program = GraphedProgram(simple, R_MAX, recorder := Recorder())
    for n_atoms in range(1, MAX_GRAPHS + 2):
        for _ in range(STEPS_BEFORE_RECORDING + 1):
            program(*chain(n_atoms, 20))
        program(*chain(1, 20))
    assert len(program.slots) == MAX_GRAPHS
    assert padded_sizes(1, 20) in program.slots
    assert padded_sizes(2, 20) not in program.slots
    assert len(recorder.recorded) == MAX_GRAPHS + 1


def test_a_program_that_cannot_be_recorded_runs_as_it_is_and_says_so_once() -> None:
    def refuse(program: Program, inputs: Inputs) -> Callable[[], Results]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    program = GraphedProgram(simple, R_MAX, refuse)
    for step in range(STEPS_BEFORE_RECORDING + 3):
        inputs = chain(5, 20)
        if step == STEPS_BEFORE_RECORDING:
            with pytest.warns(
                UserWarning,
                match=r"without CUDA graphs \(operation not permitted when .* capturing\)$",
            ):
                found = program(*inputs)
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                found = program(*inputs)
        assert torch.equal(found[0], simple(*inputs)[0])


def test_by_default_graphs_of_cuda_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    assert isinstance(GraphedProgram(simple, R_MAX).record, CudaRecorder)
