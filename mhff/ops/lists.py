"""Operators of an engine that leaves neighbour lists to mhff: edges of a list, forces on atoms.

Plain torch serves all devices. Libraries of kernels have the same in C++ (`cpu/include/lists.h`),
which saves several milliseconds in each step of 2000 atoms.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from mhff.ops.registration import Call, find


class ListOperators(NamedTuple):
    """What a simulation needs around each evaluation; see the functions of the same names."""

    near_edges: Call
    near_pairs: Call
    results_of_edges: Call


def near_edges(
    positions: torch.Tensor,
    before: torch.Tensor,
    atoms: torch.Tensor,
    shifts: torch.Tensor,
    senders: torch.Tensor,
    begin: torch.Tensor,
    r_max: float,
    r_min: float,
    limit: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Edge vectors `[E, 3]` and edge index `[2, E]` of the pairs within `r_max`, in their order.

    Positions `[n, 3]`, float64, now and when the pairs were picked. Points are images of atoms:
    point p lies at `positions[atoms[p]] + shifts[p]`, and the first n points are the n atoms, each
    in the image that receives. `senders [P]` are the points of the pairs, those of receiver i from
    `begin[i]` to `begin[i + 1]`. Indices are int32, `begin [n + 1]` is int64.

    The third result, `[2]`, int64, says whether no atom has moved by more than `limit`, without
    which there are no edges, and whether pairs are closer than `r_min`. Kernels give edge vectors
    in the precision of their program.
    """
    squares = (positions - before).square().sum(1)
    holds = not len(squares) or bool(squares.amax() <= limit * limit)
    kept = begin if holds else torch.zeros_like(begin)
    receivers, vectors = _pairs(positions, atoms, shifts, senders, kept)
    distances = torch.linalg.vector_norm(vectors, dim=1)
    inside = torch.nonzero(distances < r_max).squeeze(1)
    sending = atoms.index_select(0, senders.index_select(0, inside)).to(torch.int64)
    too_close = (distances < r_min).any()
    checks = torch.stack([torch.full_like(too_close, holds), too_close]).to(torch.int64)
    index = torch.stack([sending, receivers.index_select(0, inside)])
    return vectors.index_select(0, inside), index, checks


def near_pairs(
    positions: torch.Tensor,
    atoms: torch.Tensor,
    shifts: torch.Tensor,
    senders: torch.Tensor,
    begin: torch.Tensor,
    r_max: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`senders` and `begin` of the pairs within `r_max`; arguments as in `near_edges`."""
    receivers, vectors = _pairs(positions, atoms, shifts, senders, begin)
    inside = torch.nonzero(torch.linalg.vector_norm(vectors, dim=1) < r_max).squeeze(1)
    counts = torch.bincount(receivers.index_select(0, inside), minlength=len(begin) - 1)
    return senders.index_select(0, inside), torch.cat([begin[:1], counts.cumsum(0)])


def _pairs(
    positions: torch.Tensor,
    atoms: torch.Tensor,
    shifts: torch.Tensor,
    senders: torch.Tensor,
    begin: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Receivers `[P]`, and vectors from senders to receivers `[P, 3]`."""
    points = positions.index_select(0, atoms) + shifts
    receivers = torch.repeat_interleave(begin.diff())
    sent = points.index_select(0, senders[: len(receivers)])
    return receivers, points.index_select(0, receivers) - sent


def sum_forces(
    edge_gradients: torch.Tensor, edge_index: torch.Tensor, n_atoms: int
) -> torch.Tensor:
    """Gradients `[E, 3]` of edges that an atom sends, less those it receives: `[n_atoms, 3]`."""
    zeros = edge_gradients.new_zeros(n_atoms, 3)
    sent = zeros.index_add(0, edge_index[0], edge_gradients)
    return sent.index_add(0, edge_index[1], -edge_gradients)


def results_of_edges(
    edge_gradients: torch.Tensor,
    edge_index: torch.Tensor,
    node_energies: torch.Tensor,
    head_weights: torch.Tensor,
    energy_unit: float,
    force_unit: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forces `[n, 3]` and two totals `[2]`, float64, in the engine's units.

    The totals are the energy, and a sum that is finite only if all `edge_gradients [E, 3]` are,
    which have the precision of the program. `node_energies` and `head_weights` `[n, n_heads]`. The
    units are those of the program, in the engine's.
    """
    n_atoms = node_energies.shape[0]
    gradients = edge_gradients.to(torch.float64) * force_unit
    energy = (head_weights * node_energies).sum() * energy_unit
    totals = torch.stack([energy, gradients.sum()])
    return sum_forces(gradients, edge_index, n_atoms), totals


REFERENCE = ListOperators(near_edges, near_pairs, results_of_edges)
"""All in plain torch, for any device."""


def library_list_operators(namespace: str) -> ListOperators:
    """Those of a library of kernels that has been loaded; for tensors on the CPU."""
    return ListOperators(*(find(namespace, name) for name in ListOperators._fields))
