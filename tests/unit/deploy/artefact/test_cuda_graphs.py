"""Padding and replay of small systems: the numbers are those of the program itself. Graphs of CUDA
are stood in for.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import structures
import torch
from ase import Atoms
from models import random_model
from tolerances import ROUNDING, assert_close

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.graph import Graph
from mhff.heads import Head
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.opening import open_evaluator
from mhff.ops.ghosts import no_ghosts, owner_plan
from mhff_deploy.artefact.content import Manifest
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
from mhff_deploy.artefact.runtime import check_manifest
from mhff_deploy.compiling.cache import compiled
from mhff_deploy.lowering.network import LoweredMACE

R_MAX = 4.0
INPUTS = tuple[torch.Tensor, ...]


class Recorder:
    """Calls the program again for each replay, and leaves its results in one place, as a CUDA graph
    does.
    """

    def __init__(self) -> None:
        self.recorded: list[tuple[int, int]] = []

    def __call__(self, program: Program, inputs: INPUTS) -> Callable[[], Results]:
        self.recorded.append((len(inputs[2]), len(inputs[0])))
        results = program(*inputs)

        def replay() -> Results:
            for place, value in zip(results, program(*inputs), strict=True):
                place.copy_(value)
            return results

        return replay


def inputs_of(
    atoms: Atoms, elements: tuple[str, ...], r_max: float = R_MAX, n_heads: int = 3
) -> INPUTS:
    graph: Graph = graph_from_atoms(atoms, elements, r_max)
    weights = torch.rand(
        len(atoms), n_heads, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    return (
        graph.edge_vectors,
        graph.edge_index,
        graph.species,
        weights,
        no_ghosts(),
        graph.state,
    )


def eager(network: Any) -> Program:
    return lambda *inputs: energies_and_edge_gradients(network, *inputs)


@pytest.mark.parametrize("lowered", [False, True])
@pytest.mark.parametrize("name", ["mh1", "mp", "density", "omol", "plain"])
def test_padding_changes_nothing(name: str, lowered: bool) -> None:
    network = random_model(name).network.double().requires_grad_(False)
    program = eager(LoweredMACE(network, 32) if lowered else network)
    for build in structures.STRUCTURES.values():
        inputs = inputs_of(build(), network.config.elements)
        n_atoms, n_edges = len(inputs[2]), len(inputs[0])
        slot = Slot(padded_sizes(n_atoms, n_edges), inputs, R_MAX)
        for _ in range(2):  # the second time over what the first left
            energies, gradients = program(*slot.fill(*inputs))
            expected = program(*inputs)
            assert_close(energies[:n_atoms], expected[0], ROUNDING)
            assert_close(gradients[:n_edges], expected[1], ROUNDING)
            assert energies.isfinite().all()
            assert gradients.isfinite().all()
            assert not gradients[n_edges:].any()


def test_replayed_steps_of_a_compiled_program_are_its_own() -> None:
    evaluator = open_evaluator(compiled("mini", dtype="float64", form="aoti"), dtype="float64")
    program = GraphedProgram(
        evaluator.program, evaluator.capabilities.r_max, recorder := Recorder()
    )  # type: ignore[attr-defined]
    for step in range(STEPS_BEFORE_RECORDING + 3):
        atoms = structures.rattled_bulk()
        atoms.rattle(0.02, seed=step)
        inputs = inputs_of(
            atoms,
            evaluator.capabilities.elements,
            evaluator.capabilities.r_max,
            len(evaluator.capabilities.heads),
        )
        for found, expected in zip(program(*inputs), evaluator.program(*inputs), strict=True):  # type: ignore[attr-defined]
            assert_close(found, expected, ROUNDING)
    assert len(recorder.recorded) == 1


@pytest.mark.parametrize("n_atoms", [1, 54, 216, 1000])
def test_sizes_are_few_and_padding_is_short(n_atoms: int) -> None:
    for n_edges in range(0, 120_000, 37):
        sizes = padded_sizes(n_atoms, n_edges)
        padding = sizes.n_edges - n_edges
        assert 0 <= padding <= max(MIN_EDGE_STEP, n_edges / 16)
        assert padding <= EDGES_OF_PADDING_ATOM * (sizes.n_atoms - n_atoms)
        assert padded_sizes(n_atoms, sizes.n_edges).n_edges == sizes.n_edges
    assert len({padded_sizes(n_atoms, n_edges) for n_edges in range(2**14, 2**15 + 1)}) == 17
    assert padded_sizes(n_atoms, 0) == Sizes(n_atoms + 1, MIN_EDGE_STEP)


def chain(n_atoms: int, n_edges: int, n_ghosts: int = 0) -> INPUTS:
    """Inputs of any size."""
    generator = torch.Generator().manual_seed(n_atoms + 7 * n_edges)
    edge_index = torch.randint(0, max(n_atoms, 1), (2, n_edges), generator=generator)
    vectors = torch.randn(n_edges, 3, generator=generator, dtype=torch.float64)
    n_all = n_atoms + n_ghosts
    plan = owner_plan(torch.zeros(n_ghosts, dtype=torch.int64))
    state = torch.tensor([[0.0, 1.0]], dtype=torch.float64).repeat(n_all, 1)
    return (
        vectors,
        edge_index,
        torch.ones(n_all, dtype=torch.int64),
        torch.ones(n_atoms, 2, dtype=torch.float64),
        plan,
        state,
    )


def simple(*inputs: torch.Tensor) -> Results:
    """A program that sums the lengths of an atom's edges."""
    vectors, edge_index, species, weights, _, state = inputs
    sums = vectors.new_zeros(len(weights)).index_add(0, edge_index[1], vectors.norm(dim=1))
    return sums[:, None] * weights + (species[: len(weights)] + state[: len(weights), 0])[
        :, None
    ], 2 * vectors


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
    program = GraphedProgram(simple, R_MAX, recorder := Recorder(), most_atoms=9)
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
    def refuse(program: Program, inputs: INPUTS) -> Callable[[], Results]:
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


def manifest(**changes: object) -> Manifest:
    """Of a program for a GPU."""
    fields: dict[str, Any] = {
        "target": "aoti", "form": "aoti", "heads": (Head(name="one"),), "default_head": None, "elements": ("H",),
        "r_max": R_MAX, "dtype": "float32", "device": "cuda:0", "units": {}, "model_sha256": "",
        "torch_version": torch.__version__, "mhff_version": "", "processor": "sm_90", "largest_errors": {},
    }  # fmt: skip
    return Manifest(**(fields | changes))


def test_machine_code_runs_on_gpus_that_it_was_made_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        MHFFError,
        match="compiled for cuda, and torch finds no GPU here; compile it with --device cpu",
    ):
        check_manifest(manifest(), "a.pt2", None, None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    check_manifest(manifest(), "a.pt2", "cuda", None)
    check_manifest(manifest(form="torchscript", processor="sm_80"), "a.pt", "cuda", None)
    with pytest.raises(
        MHFFError,
        match=r"'a\.pt2' was compiled for a GPU of sm_80, this one is sm_90; compile it again here",
    ):
        check_manifest(manifest(processor="sm_80"), "a.pt2", "cuda", None)


def test_by_default_graphs_of_cuda_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 1))
    assert isinstance(GraphedProgram(simple, R_MAX).record, CudaRecorder)
