"""Convolution: neighbours' features times harmonics times radial weights, summed over each receiver's edges."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def convolution(
    features: torch.Tensor,
    harmonics: torch.Tensor,
    weights: torch.Tensor,
    coupling: torch.Tensor,
    paths_to: Sequence[int],
    edge_index: torch.Tensor,
    n_local: int,
) -> list[torch.Tensor]:
    """Messages of each degree l, `[n_local, 2l + 1, paths_to[l] * channels]`:

        M_l[i, m, p, c] = sum_(edges j -> i) weights[e, p, c] sum_(b, a) coupling[b, (l, m, p), a] harmonics[e, b] features[j, a, c]

    `features [n_all, D_in, channels]`, `harmonics [E, B]`, `weights [E, paths, channels]` (paths ordered by l),
    `coupling [B, rows, D_in]` with rows ordered by (l, m, path to l), `edge_index [2, E]` (sender, receiver). This is
    the plain torch reference: any number of derivatives, any device.
    """
    sender, receiver = edge_index[0], edge_index[1]
    n_harmonics, n_rows, n_inputs = coupling.shape
    geometry = (harmonics @ coupling.reshape(n_harmonics, n_rows * n_inputs)).reshape(-1, n_rows, n_inputs)
    coupled = torch.bmm(geometry, features.index_select(0, sender))
    blocks = coupled.split([paths * (2 * degree + 1) for degree, paths in enumerate(paths_to)], dim=1)
    messages = []
    for degree, (block, of_paths) in enumerate(zip(blocks, weights.split(list(paths_to), dim=1), strict=True)):
        per_edge = (block.unflatten(1, (2 * degree + 1, paths_to[degree])) * of_paths.unsqueeze(1)).flatten(2)
        messages.append(per_edge.new_zeros(n_local, *per_edge.shape[1:]).index_add(0, receiver, per_edge))
    return messages


def sum_over_edges(values: torch.Tensor, edge_index: torch.Tensor, n_local: int) -> torch.Tensor:
    """Sum of per-edge values `[E, ...]` over each receiver's edges, `[n_local, ...]`."""
    return values.new_zeros(n_local, *values.shape[1:]).index_add(0, edge_index[1], values)
