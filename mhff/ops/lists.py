"""Two operators of an engine that leaves neighbour lists to mhff: edges of a list, forces on atoms.

Plain torch serves all devices. Libraries of kernels have the same in C++ (`cpu/include/lists.h`),
which saves several milliseconds in each step of 2000 atoms.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch

from mhff.ops.registration import find


class NearPairs(Protocol):
    """Signature of `near_pairs`: the function itself, or a kernel."""

    def __call__(
        self,
        positions: torch.Tensor,
        pairs: torch.Tensor,
        shifts: torch.Tensor,
        r_max: float,
        r_min: float,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """See `near_pairs`."""
        ...


class AtomForces(Protocol):
    """Signature of `atom_forces`: the function itself, or a kernel."""

    def __call__(
        self, edge_gradients: torch.Tensor, edge_index: torch.Tensor, n_atoms: int
    ) -> torch.Tensor:
        """See `atom_forces`."""
        ...


class ListOperators(NamedTuple):
    """What a simulation needs before and after each evaluation."""

    near_pairs: NearPairs
    atom_forces: AtomForces


def near_pairs(
    positions: torch.Tensor,
    pairs: torch.Tensor,
    shifts: torch.Tensor,
    r_max: float,
    r_min: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Edge vectors `[E, 3]` and edge index `[2, E]` of the pairs within `r_max`, in their order.

    `positions [n, 3]`, float64; `pairs [3, P]`, int32: sender, receiver and image of the sender, a
    row of `shifts [n_images, 3]`, float64. The third result, `[1]`, is the number of pairs closer
    than `r_min`. Kernels give edge vectors in the precision of their program.
    """
    sender, receiver, image = pairs
    vectors = (
        positions.index_select(0, receiver)
        - positions.index_select(0, sender)
        - shifts.index_select(0, image)
    )
    distances = torch.linalg.vector_norm(vectors, dim=1)
    inside = torch.nonzero(distances < r_max).squeeze(1)
    index = pairs[:2].index_select(1, inside).to(torch.int64)
    return vectors.index_select(0, inside), index, (distances < r_min).sum().reshape(1)


def sum_forces(
    edge_gradients: torch.Tensor, edge_index: torch.Tensor, n_atoms: int
) -> torch.Tensor:
    """Gradients `[E, 3]` of edges that an atom sends, less those it receives: `[n_atoms, 3]`."""
    zeros = edge_gradients.new_zeros(n_atoms, 3)
    sent = zeros.index_add(0, edge_index[0], edge_gradients)
    return sent.index_add(0, edge_index[1], -edge_gradients)


def atom_forces(
    edge_gradients: torch.Tensor, edge_index: torch.Tensor, n_atoms: int
) -> torch.Tensor:
    """Forces `[n_atoms, 3]`, float64, of gradients in the precision of the program."""
    return sum_forces(edge_gradients.to(torch.float64), edge_index, n_atoms)


REFERENCE = ListOperators(near_pairs, atom_forces)
"""Both in plain torch, for any device."""


def library_list_operators(namespace: str) -> ListOperators:
    """Both of a library of kernels that has been loaded; for tensors on the CPU."""
    return ListOperators(find(namespace, "near_pairs"), find(namespace, "atom_forces"))
