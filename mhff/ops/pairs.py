"""Two operators around a program that an engine calls with pairs: one before it, one after it.

Before it, pairs become edges. After it, its results become the engine's. In plain torch each takes
a dozen calls, which cost more than a third of a millisecond beside a program that has used the
processor's caches for itself. A library of kernels has each as one operator.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mhff.ops.registration import Call, find


@dataclass(frozen=True)
class PairOperators:
    """The two operators; see the functions of the same names."""

    edges: Call
    results: Call


def library_operators(namespace: str) -> PairOperators:
    """Those of a library of kernels that has been loaded; for tensors on the CPU."""
    return PairOperators(find(namespace, "edges_of_pairs"), find(namespace, "results_of_pairs"))


def reference_operators(dtype: torch.dtype) -> PairOperators:
    """Those in plain torch, for edge vectors of this precision, on any device."""

    def edges(rij: torch.Tensor, *others: torch.Tensor) -> tuple[torch.Tensor, ...]:
        vectors, *results = edges_of_pairs(rij, *others)
        return vectors.to(dtype), *results

    return PairOperators(edges, results_of_pairs)


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
