"""Forces, virial and stress: the one place where energies are differentiated.

Everything follows from the edge gradients g_e = dE/d(edge_vectors_e), edge_vectors = x_receiver -
x_sender: forces F_i = -sum(g of edges received) + sum(g of edges sent), virial W = -sum_e
edge_vectors_e (x) g_e = -dE/d(strain), stress = -W / V (ASE's sign).
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def energies_and_edge_gradients(
    model: Callable[..., torch.Tensor],
    edge_vectors: torch.Tensor,
    edge_index: torch.Tensor,
    species: torch.Tensor,
    head_weights: torch.Tensor,
    ghost_plan: torch.Tensor | None = None,
    state: torch.Tensor | None = None,
    training: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Node energies `[n_local, n_heads]` and the gradient `[E, 3]` of sum(head_weights *
    node_energies).

    `head_weights [n_local, n_heads]` are used as given; the number of its rows is n_local; `state
    [n_all, 2]`: see `MACE.forward`. With `training` the results keep their graph, so that a loss of
    them can be differentiated; otherwise they are detached.
    """
    with torch.enable_grad():
        vectors = edge_vectors.detach().requires_grad_()
        node_energies = model(
            vectors, edge_index, species, head_weights.shape[0], ghost_plan, state
        )
        energy = (head_weights * node_energies).sum()
        (edge_gradients,) = torch.autograd.grad(energy, vectors, create_graph=training)
    return (
        (node_energies, edge_gradients)
        if training
        else (node_energies.detach(), edge_gradients.detach())
    )


def forces(edge_gradients: torch.Tensor, edge_index: torch.Tensor, n_atoms: int) -> torch.Tensor:
    """Forces `[n_atoms, 3]`, eV/A, on all atoms (ghosts included, where there are any)."""
    zeros = edge_gradients.new_zeros(n_atoms, 3)
    return zeros.index_add(0, edge_index[0], edge_gradients).index_add(
        0, edge_index[1], -edge_gradients
    )


def virial(
    edge_gradients: torch.Tensor,
    edge_vectors: torch.Tensor,
    structure_of_edge: torch.Tensor,
    n_structures: int,
) -> torch.Tensor:
    """Virials `[n_structures, 3, 3]`, eV, symmetric."""
    if n_structures == 1:  # a product of matrices instead of a matrix for each edge
        total = -(edge_vectors.T @ edge_gradients).unsqueeze(0)
    else:
        per_edge = -edge_vectors.unsqueeze(2) * edge_gradients.unsqueeze(1)
        total = per_edge.new_zeros(n_structures, 3, 3).index_add(0, structure_of_edge, per_edge)
    return 0.5 * (total + total.transpose(1, 2))


def stress(virials: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Stress `[n_structures, 3, 3]`, eV/A^3, of virials and cells (rows are lattice vectors)."""
    return -virials / torch.linalg.det(cells).abs()[:, None, None]
