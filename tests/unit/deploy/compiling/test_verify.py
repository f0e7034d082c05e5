"""Programs are held to the eager model down to close contacts and in dense crystals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from models import CONFIGS, random_model

from mhff import MHFFError, Model, load
from mhff.capabilities import model_capabilities
from mhff.evaluator import Evaluator
from mhff.graph import Graph
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.options import Precision
from mhff.state import check_state
from mhff_deploy.artefact.content import Tables
from mhff_deploy.compiling.verify import TOLERANCE, other_state, verify
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.lowering.pruning import pruned
from mhff_deploy.radial.structures import check_graphs

Change = Callable[[torch.Tensor], torch.Tensor]
EXACT = Tables(asked=0.0)


class Program(Evaluator):
    """A lowered network as a program, with results that may be changed."""

    def __init__(self, model: Model, precision: Precision) -> None:
        network = pruned(model, model.elements)
        self.network = LoweredNetwork(network).to(precision.dtype)
        self.capabilities = model_capabilities(network.config, model.heads, precision, "cpu")
        self.change_vectors: Change = lambda vectors: vectors
        self.change_gradients: Change = lambda gradients: gradients
        self.change_state: Change = lambda state: state

    def evaluate(
        self, graph: Graph, head_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Evaluator.evaluate`."""
        vectors, state = self.change_vectors(graph.edge_vectors), self.change_state(graph.state)
        moved = replace(graph, edge_vectors=vectors, state=state)
        energies, gradients = energies_and_edge_gradients(
            self.network, moved.to("cpu", self.network.dtype), head_weights
        )
        return energies, self.change_gradients(gradients)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONFIGS)
def test_every_architecture_keeps_the_tolerances(name: str) -> None:
    model = random_model(name)
    double = verify(model, Program(model, Precision.FLOAT64), EXACT)
    assert max(double.values()) < 1e-3 * TOLERANCE[Precision.FLOAT64]
    single = verify(model, Program(model, Precision.FLOAT32), EXACT)
    assert set(single) == {"node_energies", "edge_gradients", "forces"}
    assert max(single.values()) > 1e-9


def test_a_trained_model_keeps_the_tolerances() -> None:
    model = load("mini")
    errors = verify(model, Program(model, Precision.FLOAT32), EXACT)
    assert errors["node_energies"] < TOLERANCE[Precision.FLOAT32]
    assert max(errors.values()) < 5 * TOLERANCE[Precision.FLOAT32]


def closest(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors of at least 0.4 A: what programs computed once."""
    lengths = vectors.norm(dim=1, keepdim=True)
    return vectors * lengths.clamp(min=0.4) / lengths


def one_not_a_number(gradients: torch.Tensor) -> torch.Tensor:
    """The last of all components is NaN in one structure only."""
    if gradients.shape[0] == 2:
        gradients[-1, -1] = torch.nan
    return gradients


@pytest.mark.parametrize("precision", Precision)
def test_errors_beyond_the_tolerance_are_refused(precision: Precision) -> None:
    model = random_model("mp")
    program = Program(model, precision)
    program.change_vectors = closest
    with pytest.raises(MHFFError, match=r"the compiled program is wrong: its .* differ from"):
        verify(model, program, EXACT)
    program = Program(model, precision)
    program.change_gradients = lambda gradients: gradients * (1 + 1e-3)
    with pytest.raises(MHFFError, match=r"its edge_gradients differ"):
        verify(model, program, EXACT)
    program.change_gradients = one_not_a_number
    with pytest.raises(MHFFError, match=r"its edge_gradients differ .* by nan"):
        verify(model, program, EXACT)


@pytest.mark.parametrize("column", [0, 1])
def test_programs_are_compared_at_another_charge_and_multiplicity(column: int) -> None:
    """Charge 0 multiplies a weight by 0, which nobody would look at."""
    model = random_model("omol")
    program = Program(model, Precision.FLOAT64)
    known = program.capabilities
    other = other_state(known)
    assert other[column] != known.default_state[column]
    check_state(torch.tensor([other]), known.state_embeddings)
    verify(model, program, EXACT, known=True)
    default = torch.tensor(known.default_state, dtype=torch.float64)

    def ignore(state: torch.Tensor) -> torch.Tensor:
        return state.index_copy(1, torch.tensor([column]), default[column].expand(len(state), 1))

    program.change_state = ignore
    with pytest.raises(MHFFError, match="the compiled program is wrong"):
        verify(model, program, EXACT, known=True)


def test_structures_reach_from_close_contacts_to_dense_crystals() -> None:
    graphs = list(check_graphs(("C", "O"), 6.0))
    closest = min(float(graph.edge_vectors.norm(dim=1).min()) for graph in graphs[1:])
    assert closest == pytest.approx(1e-3)
    neighbours = max(graph.edge_index.shape[1] / graph.n_local for graph in graphs)
    assert neighbours > 150
    assert {graph.n_local for graph in graphs} >= {1, 2, 9, 64}
