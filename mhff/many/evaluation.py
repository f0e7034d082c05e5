"""A stack of structures through an evaluator: one graph, one call for each choice of heads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ase.stress import full_3x3_to_voigt_6_stress

from mhff.errors import MHFFError
from mhff.evaluator import Evaluator, check_finite
from mhff.graph import Graph, make_graph
from mhff.many.edges import Edges, edges_of
from mhff.many.stacks import Stack
from mhff.model import derivatives

Asked = np.ndarray | None
"""An array, or None if it was not asked for."""


@dataclass(frozen=True)
class Request:
    """What is asked of every structure."""

    heads: tuple[str, ...] = ()
    """Heads of which each is computed; none: the one that each structure's head weights choose."""
    energies: bool = False
    """Whether energies of atoms are asked for."""
    forces: bool = True
    stress: bool = True


@dataclass(frozen=True)
class Prediction:
    """Results of S structures with n atoms in total, by one choice of heads."""

    energy: np.ndarray
    """`[S]`, eV."""
    energies: Asked
    """Energies of atoms, `[n]`, eV."""
    forces: Asked
    """`[n, 3]`, eV/A."""
    stress: Asked
    """`[S, 6]` in Voigt's order, eV/A^3; NaN for structures without."""


@dataclass(frozen=True)
class Outcome:
    """What became of a stack."""

    head_energies: np.ndarray
    """Total energies of every head, `[S, n_heads]`, eV."""
    predictions: tuple[Prediction, ...]
    """One, or one for each of the heads that were asked for."""
    troubles: dict[int, str]
    """Why structures could not be computed, by their number in the stack."""


def evaluate(evaluator: Evaluator, request: Request, stack: Stack) -> Outcome:
    """Results of a stack; raises MHFFError only for what concerns all of its structures."""
    can = evaluator.capabilities
    edges = edges_of(stack, can.r_max)
    graph = _graph(stack, edges)
    choices = [torch.from_numpy(stack.head_weights)]
    if request.heads:
        rows = [can.head_row(head) for head in request.heads]
        choices = [row.expand(stack.n_atoms, -1).contiguous() for row in rows]
    predictions = []
    troubles: dict[int, str] = {}
    for head_weights in choices:
        node_energies, gradients = (each.cpu() for each in evaluator.evaluate(graph, head_weights))
        forces, _ = evaluator.list_operators().results_of_edges(
            gradients, graph.edge_index, node_energies, head_weights, 1.0, 1.0
        )
        energies = (head_weights * node_energies).sum(1)
        prediction = Prediction(
            energy=_sums(graph, energies),
            energies=energies.numpy() if request.energies else None,
            forces=forces.numpy() if request.forces else None,
            stress=_stress(stack, graph, gradients) if request.stress else None,
        )
        troubles |= _not_finite(stack, prediction.energy, forces.numpy())
        predictions.append(prediction)
    head_energies = _sums(graph, node_energies)
    return Outcome(head_energies, tuple(predictions), troubles | edges.troubles)


def _graph(stack: Stack, edges: Edges) -> Graph:
    """All structures side by side, floating-point fields in float64."""
    return make_graph(
        torch.from_numpy(edges.vectors),
        torch.from_numpy(edges.index),
        torch.from_numpy(stack.species),
        state=torch.from_numpy(np.repeat(stack.states, stack.sizes, axis=0)),
        structure=torch.from_numpy(stack.structure),
        cells=torch.from_numpy(stack.cells),
    )


def _sums(graph: Graph, values: torch.Tensor) -> np.ndarray:
    """Sums of the atoms' values over each structure."""
    sums = values.new_zeros(graph.n_structures, *values.shape[1:])
    return sums.index_add(0, graph.structure, values).numpy()


def _stress(stack: Stack, graph: Graph, gradients: torch.Tensor) -> np.ndarray:
    """Stress in Voigt's order, `[S, 6]`, eV/A^3; NaN where there is none."""
    result = np.full((stack.n_structures, 6), np.nan)
    chosen = torch.from_numpy(stack.has_stress)
    if not chosen.any():
        return result
    mine = torch.nonzero(chosen[graph.structure_of_edge]).squeeze(1)
    virials = derivatives.virial(
        gradients.index_select(0, mine).to(torch.float64),
        graph.edge_vectors.index_select(0, mine),
        graph.structure_of_edge.index_select(0, mine),
        graph.n_structures,
    )
    full = derivatives.stress(virials[chosen], graph.cells[chosen])
    result[chosen.numpy()] = [full_3x3_to_voigt_6_stress(each) for each in full.numpy()]
    return result


def _not_finite(stack: Stack, energy: np.ndarray, forces: np.ndarray) -> dict[int, str]:
    """A sentence about each structure whose energy or forces are not finite."""
    wrong = stack.structure[~np.isfinite(forces).all(1)]
    suspects = (np.bincount(wrong, minlength=stack.n_structures) > 0) | ~np.isfinite(energy)
    troubles = {}
    for number in np.flatnonzero(suspects).tolist():
        begin, end = stack.begins[number : number + 2]
        try:
            check_finite(float(energy[number]), forces[begin:end])
        except MHFFError as error:
            troubles[number] = str(error)
    return troubles
