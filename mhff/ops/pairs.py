"""Operators around a program that an engine calls with pairs: before it, after it, and a check.

Before it, pairs become edges. After it, its results become the engine's. In plain torch each takes
a dozen calls, which cost more than a third of a millisecond beside a program that has used the
processor's caches for itself. A library of kernels has each as one operator.

When the engine has rebuilt its list, the pairs are counted to see whether any are missing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mhff.ops.registration import Call, find

EXACT = "donot_use_mm_for_euclid_dist"
"""torch's name for distances that do not cancel."""
CENTRES_AT_ONCE = 256
"""Centres whose pairs are counted together in plain torch, which bounds the memory for it."""


@dataclass(frozen=True)
class PairOperators:
    """The operators; see the functions `edges_of_pairs`, `results_of_pairs` and `count_pairs`."""

    edges: Call
    results: Call
    count: Call


def library_operators(namespace: str) -> PairOperators:
    """Those of a library of kernels that has been loaded; for tensors on the CPU."""
    names = ("edges_of_pairs", "results_of_pairs", "count_pairs")
    return PairOperators(*(find(namespace, name) for name in names))


def reference_operators(dtype: torch.dtype) -> PairOperators:
    """Those in plain torch, for edge vectors of this precision, on any device."""

    def edges(rij: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
        vectors, *results = edges_of_pairs(rij, *others)
        return vectors.to(dtype), *results

    return PairOperators(edges, results_of_pairs, count_pairs)


def edges_of_pairs(
    rij: torch.Tensor,
    senders: torch.Tensor,
    receivers: torch.Tensor,
    rows: torch.Tensor,
    positions: torch.Tensor,
    positions_before: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Edge vectors `[E, 3]`, edge index `[2, E]`, and the largest squared displacement `[1]`.

    `rij [E, 3]`, float64, points from the receiver to the sender; edge vectors point the other way.
    `senders`, `receivers`: atoms of each pair, `[E]`, int32; `rows`: the row of each atom.
    Positions `[n, 3]`, float64, now and before, may lie on another device; one that is NaN makes
    the displacement NaN.
    """
    index = rows.index_select(0, torch.cat([senders, receivers])).view(2, -1)
    squares = (positions - positions_before).square().sum(1)
    largest = squares.amax(0, keepdim=True) if len(squares) else squares.new_zeros(1)
    return rij.neg(), index, largest


def results_of_pairs(
    edge_gradients: torch.Tensor,
    node_energies: torch.Tensor,
    head_weights: torch.Tensor,
    unit: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Derivatives by rij `[E, 3]`, energies of atoms `[n]`, and two totals `[2]`; float64.

    The totals are the energy, and a sum that is finite only if all `edge_gradients [E, 3]` are.
    `node_energies`, `head_weights` `[n, n_heads]`; `unit`: an eV in the engine's unit of energy.
    """
    forces = edge_gradients.to(torch.float64).mul(-unit)
    energies = (head_weights * node_energies).sum(1).mul_(unit)
    return forces, energies, torch.stack([energies.sum(), forces.sum()])


def count_pairs(points: torch.Tensor, n_centres: int, r_max: float) -> torch.Tensor:
    """Number `[1]`, int64, of pairs within `r_max` of a centre and another point.

    `points [P, 3]`, float64; the first `n_centres` of them are the centres.

    Points are sorted along the longest extent, so that those near a centre lie together.
    """
    count = points.new_zeros(1, dtype=torch.int64)
    if not n_centres:
        return count
    axis = int((points.amax(0) - points.amin(0)).argmax())
    along, order = points[:, axis].sort()
    sorted_points = points.index_select(0, order)
    centres = sorted_points[order < n_centres]
    for block in centres.split(CENTRES_AT_ONCE):
        ends = torch.stack([block[0, axis] - r_max, block[-1, axis] + r_max])
        first, last = torch.searchsorted(along, ends).tolist()
        count += (torch.cdist(block, sorted_points[first:last], compute_mode=EXACT) < r_max).sum()
    return count - n_centres
