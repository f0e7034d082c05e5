"""Convolution: neighbours' features times harmonics times radial weights, summed over each
receiver's edges.

    M[i, (l, m, p), c] = sum_(edges j -> i) weights[e, p, c]
                             sum_(b, a) coupling[b, (l, m, p), a] harmonics[e, b] features[j, a, c]

Rows are ordered by degree l, then m, then path p to l, so that paths stack to channels; paths are
ordered by l. `convolution` is the plain torch reference with any number of derivatives (training).
`mhff::convolution` is the same as one operator with a hand-derived adjoint (inference): compiled
programs keep it as a single node, and kernels take its place.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

EDGES_AT_ONCE = 512
"""The operator works through the edges in pieces whose intermediate values stay in cache."""


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

    `features [n_all, D_in, channels]`, `harmonics [E, B]`, `weights [E, paths, channels]`,
    `coupling [B, rows, D_in]`, `paths_to[l]` the number of paths to each degree, `edge_index [2,
    E]` (sender, receiver).
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
    """For each l: its rows `[E, 2l + 1, paths, channels]` and its weights `[E, 1, paths,
    channels]`.
    """
    blocks = rows.split([paths * (2 * degree + 1) for degree, paths in enumerate(paths_to)], dim=1)
    for degree, (block, of_paths) in enumerate(
        zip(blocks, weights.split(list(paths_to), dim=1), strict=True)
    ):
        yield block.unflatten(1, (2 * degree + 1, paths_to[degree])), of_paths.unsqueeze(1)


@torch.library.custom_op("mhff::convolution", mutates_args=())
def convolution_operator(
    features: torch.Tensor,
    harmonics: torch.Tensor,
    weights: torch.Tensor,
    coupling: torch.Tensor,
    paths_to: list[int],
    edge_index: torch.Tensor,
    n_local: int,
) -> torch.Tensor:
    """`convolution` as an operator."""
    messages = features.new_zeros(n_local, coupling.shape[1], features.shape[2])
    for e in _pieces(harmonics.shape[0]):
        messages += convolution(
            features, harmonics[e], weights[e], coupling, paths_to, edge_index[:, e], n_local
        )
    return messages


@torch.library.custom_op("mhff::convolution_adjoint", mutates_args=())
def convolution_adjoint(
    gradient: torch.Tensor,
    features: torch.Tensor,
    harmonics: torch.Tensor,
    weights: torch.Tensor,
    coupling: torch.Tensor,
    paths_to: list[int],
    edge_index: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients with respect to features, harmonics and weights from that of the messages,
    `[n_local, rows, channels]`.
    """
    of_features, of_harmonics, of_weights = (
        torch.zeros_like(features),
        torch.empty_like(harmonics),
        torch.empty_like(weights),
    )
    for e in _pieces(harmonics.shape[0]):
        sender, receiver = edge_index[0, e], edge_index[1, e]
        geometry, sent = _geometry(harmonics[e], coupling), features.index_select(0, sender)
        received = gradient.index_select(0, receiver)
        coupled = torch.bmm(geometry, sent)
        of_weights[e] = torch.cat(
            [
                (block * row).sum(1)
                for (block, _), (row, _) in zip(
                    _by_degree(coupled, weights[e], paths_to),
                    _by_degree(received, weights[e], paths_to),
                    strict=True,
                )
            ],
            dim=1,
        )
        weighted = torch.cat(
            [(row * w).flatten(1, 2) for row, w in _by_degree(received, weights[e], paths_to)],
            dim=1,
        )
        of_features.index_add_(0, sender, torch.bmm(geometry.transpose(1, 2), weighted))
        of_harmonics[e] = (
            torch.bmm(weighted, sent.transpose(1, 2)).flatten(1) @ coupling.flatten(1).T
        )
    return of_features, of_harmonics, of_weights


def _pieces(n_edges: int) -> Iterator[slice]:
    return (
        slice(start, min(start + EDGES_AT_ONCE, n_edges))
        for start in range(0, n_edges, EDGES_AT_ONCE)
    )


@convolution_operator.register_fake
def _(features, harmonics, weights, coupling, paths_to, edge_index, n_local):  # type: ignore[no-untyped-def]
    return features.new_empty(n_local, coupling.shape[1], features.shape[2])


@convolution_adjoint.register_fake
def _(gradient, features, harmonics, weights, coupling, paths_to, edge_index):  # type: ignore[no-untyped-def]
    return torch.empty_like(features), torch.empty_like(harmonics), torch.empty_like(weights)


def _setup(ctx, inputs, output):  # type: ignore[no-untyped-def]
    features, harmonics, weights, coupling, ctx.paths_to, edge_index, _ = inputs
    ctx.save_for_backward(features, harmonics, weights, coupling, edge_index)


def _backward(ctx, gradient):  # type: ignore[no-untyped-def]
    features, harmonics, weights, coupling, edge_index = ctx.saved_tensors
    gradients = convolution_adjoint(
        gradient, features, harmonics, weights, coupling, ctx.paths_to, edge_index
    )
    return *gradients, None, None, None, None


convolution_operator.register_autograd(_backward, setup_context=_setup)
