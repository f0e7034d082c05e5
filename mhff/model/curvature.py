"""Second derivatives of the energy by the positions: exact, one product with the Hessian at a time.

Edge vectors v are linear in the positions, so with the edge gradients g = dE/dv the product of the
Hessian with displacements d of the atoms is

    v'_e     = d_receiver - d_sender
    g'       = (d^2 E / dv^2) v'
    (H d)_i  = sum(g'_e of edges that i receives) - sum(g'_e of edges that i sends)

g and its autograd graph are computed once. The matrix in the middle is symmetric, so each g' is one
pass backward through that graph. Small structures take several displacements at once, as copies
side by side, up to `Network.edges_at_once`. Memory is that of one pass, linear in the number of
edges.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import ArrayLike

from mhff.errors import MHFFError
from mhff.graph import Graph, collate
from mhff.model.network import Network
from mhff.ops.lists import sum_forces

MAX_ASYMMETRY = 1e-9
"""Largest |H_ij - H_ji| that rounding explains, relative to the largest element."""


class Curvature:
    """Products of the Hessian of one structure's energy with displacements of its atoms."""

    def __init__(
        self, network: Network, graph: Graph, head_weights: torch.Tensor, max_copies: int
    ) -> None:
        """`network`: twice differentiable, its parameters without gradients.

        `graph`: one structure without ghosts; `head_weights [n_atoms, n_heads]`; `max_copies`: the
        number of displacements to come, because more copies would be idle.
        """
        self.n_atoms = graph.n_local
        n_edges = max(1, graph.edge_index.shape[1])
        self.n_copies = max(1, min(network.edges_at_once // n_edges, max_copies))
        with torch.inference_mode(False), torch.enable_grad():
            own = graph.to(network.device, network.dtype).outside_inference_mode()
            copies = collate([own] * self.n_copies)
            weights = head_weights.to(network.device, torch.float64).repeat(self.n_copies, 1)
            self._edge_index = copies.edge_index
            self._edge_vectors = copies.edge_vectors.detach().requires_grad_()
            node_energies = network(replace(copies, edge_vectors=self._edge_vectors))
            energy = (weights.clone() * node_energies).sum()
            (self._gradients,) = torch.autograd.grad(energy, self._edge_vectors, create_graph=True)

    def products(self, displacements: np.ndarray) -> np.ndarray:
        """H d of displacements `[n, n_atoms, 3]`, each `[n_atoms, 3]`, eV/A^2."""
        found = np.empty(displacements.shape)
        for first in range(0, len(displacements), self.n_copies):
            some = displacements[first : first + self.n_copies]
            found[first : first + len(some)] = self._at_once(some)
        return found

    def rows(self, atoms: np.ndarray) -> np.ndarray:
        """Rows of the Hessian, `[3 n, 3 n_atoms]`, of n atoms; row 3 k + x is of the k-th."""
        rows = np.empty((3 * len(atoms), 3 * self.n_atoms))
        coordinates = coordinates_of(atoms)
        for first in range(0, len(rows), self.n_copies):
            some = coordinates[first : first + self.n_copies]
            unit = np.zeros((len(some), 3 * self.n_atoms))
            unit[np.arange(len(some)), some] = 1.0
            found = self._at_once(unit.reshape(len(some), self.n_atoms, 3))
            rows[first : first + len(some)] = found.reshape(len(some), -1)
        return rows

    def _at_once(self, displacements: np.ndarray) -> np.ndarray:
        """Products with as many displacements as there are copies, or fewer."""
        moved = torch.zeros(self.n_copies, self.n_atoms, 3, dtype=torch.float64)
        moved[: len(displacements)] = torch.from_numpy(displacements)
        with torch.inference_mode(False):
            flat = moved.flatten(0, 1).to(self._gradients)
            sender, receiver = self._edge_index
            (along,) = torch.autograd.grad(
                self._gradients,
                self._edge_vectors,
                flat.index_select(0, receiver) - flat.index_select(0, sender),
                retain_graph=True,
            )
            found = -sum_forces(along, self._edge_index, len(flat))
        of_copies: np.ndarray = found.cpu().numpy().reshape(moved.shape)
        return of_copies[: len(displacements)]


def coordinates_of(atoms: np.ndarray) -> np.ndarray:
    """Rows of a Hessian that belong to atoms `[n]`: `[3 n]`."""
    found: np.ndarray = (3 * atoms[:, None] + np.arange(3)).flatten()
    return found


def chosen_atoms(indices: ArrayLike | None, n_atoms: int) -> np.ndarray:
    """Atoms `[n]` that a user names by indices or by a mask `[n_atoms]`; None means all.

    Raises MHFFError for atoms that do not exist or are named twice.
    """
    every = np.arange(n_atoms)
    if indices is None:
        return every
    named = np.asarray(indices)
    if named.size == 0:
        return every[:0]
    expected = f"expected different atoms from 0 to {n_atoms - 1} as indices, or a mask of them"
    if named.dtype == bool and named.shape == every.shape:
        return every[named]
    if named.ndim != 1 or not np.issubdtype(named.dtype, np.integer):
        raise MHFFError(f"{expected}, got {indices!r}; correct them")
    if named.min() < 0 or named.max() >= n_atoms or len(np.unique(named)) < len(named):
        raise MHFFError(f"{expected}, got {named.tolist()}; correct them")
    return named


def symmetrised(hessian: np.ndarray) -> np.ndarray:
    """The symmetric part of a Hessian whose asymmetry is rounding; raises MHFFError otherwise."""
    scale = np.abs(hessian).max(initial=0.0)
    asymmetry = np.abs(hessian - hessian.T).max(initial=0.0)
    if not asymmetry <= MAX_ASYMMETRY * scale:
        raise MHFFError(
            f"expected a symmetric Hessian, got elements of up to {scale:.3g} eV/A^2 that differ "
            f"from their transposes by {asymmetry:.1g}; check that the structure is reasonable, "
            "and report this if it is"
        )
    return 0.5 * (hessian + hessian.T)
