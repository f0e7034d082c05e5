"""Evaluators refuse what a program would read beyond the end of."""

from __future__ import annotations

import pytest
import structures
import torch
from models import random_model

from mhff import MHFFError
from mhff.atoms import graph_from_atoms
from mhff.evaluator import EagerEvaluator
from mhff.ops.ghosts import owner_plan


@pytest.fixture(scope="module")
def evaluator() -> EagerEvaluator:
    return EagerEvaluator(random_model("mp", n_channels=2, correlation=1))


@pytest.fixture
def inputs(evaluator: EagerEvaluator) -> dict[str, torch.Tensor]:
    graph = graph_from_atoms(
        structures.rattled_bulk(), evaluator.capabilities.elements, evaluator.capabilities.r_max
    )
    return {
        "edge_vectors": graph.edge_vectors,
        "edge_index": graph.edge_index,
        "species": graph.species,
        "head_weights": torch.ones(graph.n_local, 3, dtype=torch.float64),
        "state": graph.state,
    }


def with_number(tensor: torch.Tensor, place: tuple[int, ...], value: int) -> torch.Tensor:
    changed = tensor.clone()
    changed[place] = value
    return changed


def test_good_inputs_are_taken(evaluator: EagerEvaluator, inputs: dict[str, torch.Tensor]) -> None:
    evaluator.evaluate(**inputs)
    evaluator.evaluate(**{name: tensor for name, tensor in inputs.items() if name != "state"})
    n_atoms = len(inputs["species"])
    ghost = {
        "species": torch.cat([inputs["species"], inputs["species"][:1]]),
        "edge_index": with_number(inputs["edge_index"], (0, 0), n_atoms),
        "state": torch.cat([inputs["state"], inputs["state"][:1]]),
        "ghost_plan": owner_plan(torch.tensor([0])),
    }
    evaluator.evaluate(**(inputs | ghost))


def test_an_empty_system_is_taken(evaluator: EagerEvaluator) -> None:
    empty = torch.zeros(0, dtype=torch.int64)
    energies, gradients = evaluator.evaluate(
        torch.zeros(0, 3), empty.expand(2, 0), empty, torch.zeros(0, 3)
    )
    assert (energies.shape, gradients.shape) == ((0, 3), (0, 3))


@pytest.mark.parametrize("value", [-1, -(10**9), 10**9, "n"])
@pytest.mark.parametrize(("row", "name"), [(0, "senders"), (1, "receivers")])
def test_atoms_that_are_not_there(
    evaluator: EagerEvaluator,
    inputs: dict[str, torch.Tensor],
    row: int,
    name: str,
    value: int | str,
) -> None:
    n_atoms = len(inputs["species"])
    number = n_atoms if value == "n" else int(value)
    inputs["edge_index"] = with_number(inputs["edge_index"], (row, 2), number)
    with pytest.raises(
        MHFFError,
        match=rf"from 0 to {n_atoms - 1} in edge_index\[{row}\] \({name}\), got {number}; correct",
    ):
        evaluator.evaluate(**inputs)


@pytest.mark.parametrize("value", [-1, 5])
def test_species_that_are_not_there(
    evaluator: EagerEvaluator, inputs: dict[str, torch.Tensor], value: int
) -> None:
    inputs["species"] = with_number(inputs["species"], (1,), value)
    with pytest.raises(MHFFError, match=rf"expected numbers from 0 to 4 in species, got {value}"):
        evaluator.evaluate(**inputs)


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (
            "head_weights",
            lambda x: x[:, :2],
            r"head_weights \[n_local, n_heads\] of shape \[\d+, 3\], got \[\d+, 2\]",
        ),
        ("head_weights", lambda x: torch.cat([x, x], 1), r"got \[\d+, 6\]; make it of that shape"),
        ("head_weights", lambda x: x[0], r"head_weights .*got \[3\]"),
        ("head_weights", lambda x: x[:-1], r"species \[n_all\] of shape \[\d+\], got \[\d+\]"),
        ("species", lambda x: x[:-1], "expected species"),
        ("species", lambda x: x[:, None], "expected species"),
        (
            "species",
            lambda x: x.int(),
            r"expected species of type torch\.int64, got torch\.int32; convert it",
        ),
        ("edge_index", lambda x: x.T, r"edge_index \[2, E\] of shape"),
        (
            "edge_index",
            lambda x: x.double(),
            r"expected edge_index of type torch\.int64, got torch\.float64",
        ),
        ("edge_vectors", lambda x: x[:-1], "expected edge_index"),
        ("edge_vectors", lambda x: x[:, :2], r"edge_vectors \[E, 3\] of shape"),
        ("edge_vectors", lambda x: x.flatten(), r"edge_vectors \[E, 3\] of shape"),
        ("state", lambda x: x[:1], r"state \[n_all, 2\] of shape"),
        (
            "ghost_plan",
            lambda x: torch.zeros(0, dtype=torch.int64),
            r"ghost_plan \[1 \+ n_ghosts\] of shape \[1\], got \[0\]",
        ),
        ("ghost_plan", lambda x: owner_plan(torch.tensor([1])), "expected species"),
    ],
)
def test_wrong_shapes_and_types(evaluator, inputs, name, change, sentence) -> None:  # type: ignore[no-untyped-def]
    inputs[name] = change(inputs.get(name))
    with pytest.raises(MHFFError, match=sentence):
        evaluator.evaluate(**inputs)
