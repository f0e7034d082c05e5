"""Convolution: messages from neighbours, summed over each receiver's edges.

    M[i, (l, m, p), c] = sum_(edges j -> i) weights[e, p, c]
                             sum_(b, a) coupling[b, (l, m, p), a] harmonics[e, b] features[j, a, c]

Rows are ordered as `mhff.ops.shapes.MessageLayout` says. `convolution` is the plain torch reference
with any number of derivatives (training). `mhff::convolution` is the same as one operator with a
hand-derived adjoint (inference): compiled programs keep it as a single node, and kernels take its
place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch

from mhff.ops.reference_operators import REFERENCE
from mhff.ops.registration import define

EDGES_AT_ONCE = 512
"""Edges that the operator treats at once, so that intermediate values stay in cache."""


class Convolve(Protocol):
    """Signature of `convolution`: the function itself, the operator, or a kernel."""

    def __call__(
        self,
        features: torch.Tensor,
        harmonics: torch.Tensor,
        weights: torch.Tensor,
        coupling: torch.Tensor,
        paths_to: Sequence[int],
        edge_index: torch.Tensor,
        n_local: int,
    ) -> torch.Tensor:
        """See `convolution`."""
        ...


def convolution(
    features: torch.Tensor,
    harmonics: torch.Tensor,
    weights: torch.Tensor,
    coupling: torch.Tensor,
    paths_to: Sequence[int],
    edge_index: torch.Tensor,
    n_local: int,
) -> torch.Tensor:
    """Messages `[n_local, rows, channels]` (formula at the top of this module).

    `features [n_all, D_in, channels]`; `harmonics [E, B]`; `weights [E, paths, channels]`;
    `coupling [B, rows, D_in]`; `paths_to[l]` the number of paths to each degree; `edge_index
    [2, E]` (sender, receiver).
    """
    coupled = torch.bmm(_geometry(harmonics, coupling), features.index_select(0, edge_index[0]))
    messages = []
    for block, of_paths in _by_degree(coupled, weights, paths_to):
        per_edge = (block * of_paths).flatten(1, 2)
        messages.append(
            per_edge.new_zeros(n_local, *per_edge.shape[1:]).index_add(0, edge_index[1], per_edge)
        )
    return torch.cat(messages, dim=1)


def sum_over_edges(values: torch.Tensor, edge_index: torch.Tensor, n_local: int) -> torch.Tensor:
    """Sum of per-edge values `[E, ...]` over each receiver's edges, `[n_local, ...]`."""
    return values.new_zeros(n_local, *values.shape[1:]).index_add(0, edge_index[1], values)


def _geometry(harmonics: torch.Tensor, coupling: torch.Tensor) -> torch.Tensor:
    """Coupling of each edge's harmonics, `[E, rows, D_in]`."""
    return (harmonics @ coupling.flatten(1)).unflatten(1, coupling.shape[1:])


def _by_degree(
    rows: torch.Tensor, weights: torch.Tensor, paths_to: Sequence[int]
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Rows `[E, 2l + 1, paths, channels]` and weights `[E, 1, paths, channels]` of each l."""
    blocks = rows.split([paths * (2 * degree + 1) for degree, paths in enumerate(paths_to)], dim=1)
    for degree, (block, of_paths) in enumerate(
        zip(blocks, weights.split(list(paths_to), dim=1), strict=True)
    ):
        yield block.unflatten(1, (2 * degree + 1, paths_to[degree])), of_paths.unsqueeze(1)


def _in_pieces(
    features: torch.Tensor,
    harmonics: torch.Tensor,
    weights: torch.Tensor,
    coupling: torch.Tensor,
    paths_to: list[int],
    edge_index: torch.Tensor,
    n_local: int,
) -> torch.Tensor:
    """`convolution`, some edges at a time."""
    messages = features.new_zeros(n_local, coupling.shape[1], features.shape[2])
    for e in _pieces(harmonics.shape[0]):
        messages += convolution(
            features, harmonics[e], weights[e], coupling, paths_to, edge_index[:, e], n_local
        )
    return messages


def _adjoint(
    gradient: torch.Tensor,
    features: torch.Tensor,
    harmonics: torch.Tensor,
    weights: torch.Tensor,
    coupling: torch.Tensor,
    paths_to: list[int],
    edge_index: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of features, harmonics and weights, from that of the messages."""
    d_features = torch.zeros_like(features)
    d_harmonics = torch.empty_like(harmonics)
    d_weights = torch.empty_like(weights)
    for e in _pieces(harmonics.shape[0]):
        sender, receiver = edge_index[:, e]
        geometry = _geometry(harmonics[e], coupling)
        sent = features.index_select(0, sender)
        received = gradient.index_select(0, receiver)
        coupled = torch.bmm(geometry, sent)
        weighted, d_weights[e] = _weigh(coupled, received, weights[e], paths_to)
        d_features.index_add_(0, sender, torch.bmm(geometry.transpose(1, 2), weighted))
        d_geometry = torch.bmm(weighted, sent.transpose(1, 2))
        d_harmonics[e] = d_geometry.flatten(1) @ coupling.flatten(1).T
    return d_features, d_harmonics, d_weights


def _weigh(
    coupled: torch.Tensor, received: torch.Tensor, weights: torch.Tensor, paths_to: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients `[E, rows, channels]` times weights, and the gradient of the weights."""
    weighted = []
    d_weights = []
    blocks = zip(
        _by_degree(coupled, weights, paths_to), _by_degree(received, weights, paths_to), strict=True
    )
    for (row, _), (gradient, of_paths) in blocks:
        weighted.append((gradient * of_paths).flatten(1, 2))
        d_weights.append((row * gradient).sum(1))
    return torch.cat(weighted, dim=1), torch.cat(d_weights, dim=1)


def _pieces(n_edges: int) -> Iterator[slice]:
    for start in range(0, n_edges, EDGES_AT_ONCE):
        yield slice(start, min(start + EDGES_AT_ONCE, n_edges))


_OPERATORS = define(
    "mhff", "convolution", REFERENCE["convolution"], {"": _in_pieces, "_adjoint": _adjoint}
)
convolution_operator: Convolve = _OPERATORS[""]
"""`convolution` as an operator."""
convolution_adjoint: Callable[..., tuple[torch.Tensor, ...]] = _OPERATORS["_adjoint"]
"""Gradients of features, harmonics and weights, from that of the messages, as an operator."""
