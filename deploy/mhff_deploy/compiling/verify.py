"""Every compiled program is checked against the eager float64 model before its file is written."""

from __future__ import annotations

import torch

from mhff.errors import MHFFError
from mhff.evaluator import EagerEvaluator, Evaluator
from mhff.graph import graph_from_atoms
from mhff.modelfile import Model
from mhff.ops.ghosts import owner_plan
from mhff_deploy.lowering.structures import check_structures

ENERGY_TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
"""Largest error of a node energy, eV, relative to max(1, largest edge gradient in eV/A)."""
GRADIENT_TOLERANCE = {"float32": 1e-4, "float64": 1e-8}
"""Largest error of an edge gradient, eV/A, relative to max(1, largest edge gradient)."""


def largest_errors(model: Model, program: Evaluator) -> dict[str, float]:
    """Largest errors of node energies (eV) and edge gradients (eV/A), both relative to max(1,
    largest gradient).

    Random head weights per atom; every third edge's sender is made a ghost, so that the exchange is
    checked too.
    """
    exact = EagerEvaluator(model, "cpu", "float64")
    generator = torch.Generator().manual_seed(0)
    errors = {"node_energies": 0.0, "edge_gradients": 0.0}
    for atoms in check_structures(program.elements):
        reference = graph_from_atoms(atoms, exact.elements, exact.r_max)
        graph = graph_from_atoms(atoms, program.elements, program.r_max)
        weights = torch.rand(len(atoms), len(model.heads), generator=generator, dtype=torch.float64)
        state = torch.tensor([program.default_state], dtype=torch.float64)
        expected = exact.evaluate(
            reference.edge_vectors,
            reference.edge_index,
            reference.species,
            weights,
            state=state.repeat(len(atoms), 1),
        )
        moved = graph.edge_index[0, ::3]
        sender = graph.edge_index[0].clone()
        sender[::3] = graph.n_atoms + torch.arange(len(moved))
        species = torch.cat([graph.species, graph.species[moved]])
        edge_index = torch.stack([sender, graph.edge_index[1]])
        got = program.evaluate(
            graph.edge_vectors,
            edge_index,
            species,
            weights,
            owner_plan(moved),
            state.repeat(len(species), 1),
        )
        scale = max(1.0, float(expected[1].abs().max())) if expected[1].numel() else 1.0
        for name, right, value in zip(errors, expected, got, strict=True):
            if right.numel():
                errors[name] = max(errors[name], float((right - value.cpu()).abs().max()) / scale)
    return errors


def verify(
    model: Model, program: Evaluator, dtype: str, table_error: float = 0.0
) -> dict[str, float]:
    """`largest_errors`, or MHFFError if they exceed the tolerance of the precision, or ten times
    the error of tables.
    """
    errors = largest_errors(model, program)
    limits = {
        "node_energies": ENERGY_TOLERANCE[dtype],
        "edge_gradients": max(GRADIENT_TOLERANCE[dtype], 10 * table_error),
    }
    for name, limit in limits.items():
        if not errors[name] <= limit:
            raise MHFFError(
                f"the compiled program is wrong: its {name} differ from the eager model by "
                f"{errors[name]:.1e}, "
                f"the limit is {limit:.0e}; no file was written, please report this model and "
                "machine"
            )
    return errors
