"""Forces, virial and stress: the one place where energies are differentiated.

Everything follows from the edge gradients g_e = dE/d(edge_vectors_e), where edge_vectors =
x_receiver - x_sender (`mhff.graph`):

    forces   F_i = sum(g_e of edges that i sends) - sum(g_e of edges that i receives)
    virial   W   = -sum_e edge_vectors_e (x) g_e = -dE/d(strain)
    stress       = -W / V, with ASE's sign: positive under tension
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from mhff.graph import Graph
from mhff.ops.lists import sum_forces


def energies_and_edge_gradients(
    model: Callable[[Graph], torch.Tensor],
    graph: Graph,
    head_weights: torch.Tensor,
    training: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Node energies `[n_local, n_heads]` and the gradient `[E, 3]` of sum(head_weights * energies).

    `head_weights [n_local, n_heads]` are used as given. With `training` the results keep their
    autograd graph, so that a loss can be differentiated through them; otherwise they are detached.
    """
    with torch.enable_grad():
        edge_vectors = graph.edge_vectors.detach().requires_grad_()
        node_energies = model(replace(graph, edge_vectors=edge_vectors))
        energy = (head_weights * node_energies).sum()
        (edge_gradients,) = torch.autograd.grad(energy, edge_vectors, create_graph=training)
    if training:
        return node_energies, edge_gradients
    return node_energies.detach(), edge_gradients.detach()


def forces(edge_gradients: torch.Tensor, edge_index: torch.Tensor, n_atoms: int) -> torch.Tensor:
    """Forces `[n_atoms, 3]`, eV/A, on all atoms, ghosts included."""
    return sum_forces(edge_gradients, edge_index, n_atoms)


def virial(
    edge_gradients: torch.Tensor,
    edge_vectors: torch.Tensor,
    structure_of_edge: torch.Tensor,
    n_structures: int,
) -> torch.Tensor:
    """Virials `[n_structures, 3, 3]`, eV, symmetric."""
    if n_structures == 1:  # one matrix product, which needs no 3 x 3 matrix for each edge
        total = -(edge_vectors.T @ edge_gradients).unsqueeze(0)
    else:
        per_edge = -edge_vectors.unsqueeze(2) * edge_gradients.unsqueeze(1)
        total = per_edge.new_zeros(n_structures, 3, 3).index_add(0, structure_of_edge, per_edge)
    return 0.5 * (total + total.transpose(1, 2))


def stress(virials: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Stress `[n_structures, 3, 3]`, eV/A^3, of virials and cells (rows are lattice vectors)."""
    return -virials / torch.linalg.det(cells).abs()[:, None, None]
