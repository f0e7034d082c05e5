"""Every compiled program is checked against the eager float64 model before its file is written."""

from __future__ import annotations

import torch

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.evaluator import EagerEvaluator, Evaluator
from mhff.graph import Graph, make_graph
from mhff.modelfile import Model
from mhff.ops.ghosts import owner_plan
from mhff.options import Precision
from mhff_deploy.artefact.content import Tables
from mhff_deploy.lowering.structures import check_structures

ENERGY_TOLERANCE = {Precision.FLOAT32: 1e-4, Precision.FLOAT64: 1e-9}
"""Largest error of a node energy, eV, relative to max(1, largest edge gradient in eV/A)."""
GRADIENT_TOLERANCE = {Precision.FLOAT32: 1e-4, Precision.FLOAT64: 1e-8}
"""Largest error of an edge gradient, eV/A, relative to max(1, largest edge gradient)."""


def largest_errors(model: Model, program: Evaluator) -> dict[str, float]:
    """Largest errors of node energies, eV, and edge gradients, eV/A.

    Both are relative to max(1, largest gradient). Head weights are random for each atom; every
    third edge's sender is made a ghost, so that the exchange is checked too.
    """
    exact = EagerEvaluator(model)
    known, can = exact.capabilities, program.capabilities
    generator = torch.Generator().manual_seed(0)
    errors = {"node_energies": 0.0, "edge_gradients": 0.0}
    for atoms in check_structures(can.elements):
        reference = graph_from_atoms(atoms, known.elements, known.r_max, can.default_state)
        graph = graph_from_atoms(atoms, can.elements, can.r_max, can.default_state)
        weights = torch.rand(len(atoms), len(model.heads), generator=generator, dtype=torch.float64)
        expected = exact.evaluate(reference, weights)
        got = program.evaluate(with_ghosts(graph), weights)
        scale = max(1.0, float(expected[1].abs().max())) if expected[1].numel() else 1.0
        for name, right, value in zip(errors, expected, got, strict=True):
            if right.numel():
                errors[name] = max(errors[name], float((right - value.cpu()).abs().max()) / scale)
    return errors


def with_ghosts(graph: Graph) -> Graph:
    """The same structure, with a ghost for the sender of every third edge."""
    owners = graph.edge_index[0, ::3]
    sender = graph.edge_index[0].clone()
    sender[::3] = graph.n_local + torch.arange(len(owners))
    return make_graph(
        graph.edge_vectors,
        torch.stack([sender, graph.edge_index[1]]),
        torch.cat([graph.species, graph.species[owners]]),
        ghost_plan=owner_plan(owners),
        state=torch.cat([graph.state, graph.state[owners]]),
    )


def verify(model: Model, program: Evaluator, tables: Tables) -> dict[str, float]:
    """`largest_errors`; raises MHFFError if they exceed the tolerances of the precision.

    Where radial functions are in tables, gradients may have ten times the error asked of these.
    """
    errors = largest_errors(model, program)
    precision = program.capabilities.precision
    of_tables = 10 * tables.asked if tables.n_intervals else 0.0
    limits = {
        "node_energies": ENERGY_TOLERANCE[precision],
        "edge_gradients": max(GRADIENT_TOLERANCE[precision], of_tables),
    }
    for name, limit in limits.items():
        if not errors[name] <= limit:
            raise MHFFError(
                f"the compiled program is wrong: its {name} differ from the eager model by "
                f"{errors[name]:.1e}, the limit is {limit:.0e}; no file was written, please report "
                "this model and machine"
            )
    return errors
