"""Convolution: neighbours' features times harmonics times radial weights, summed over each receiver's edges."""

from __future__ import annotations

import torch


def convolution(
    features: torch.Tensor,
    harmonics: torch.Tensor,
    weights: torch.Tensor,
    coupling: torch.Tensor,
    row_path: torch.Tensor,
    edge_index: torch.Tensor,
    n_local: int,
) -> torch.Tensor:
    """Messages `[n_local, rows, channels]`:

        M[i, o, c] = sum_(edges j -> i) weights[e, path(o), c] sum_(b, a) coupling[b, o, a] harmonics[e, b] features[j, a, c]

    `features [n_all, D_in, channels]`, `harmonics [E, B]`, `weights [E, paths, channels]`, `coupling [B, rows, D_in]`,
    `row_path [rows]` (the path of each row), `edge_index [2, E]` (sender, receiver). This is the plain torch
    reference: any number of derivatives, any device.
    """
    sender, receiver = edge_index[0], edge_index[1]
    n_harmonics, n_rows, n_inputs = coupling.shape
    geometry = (harmonics @ coupling.reshape(n_harmonics, n_rows * n_inputs)).reshape(-1, n_rows, n_inputs)
    messages = torch.bmm(geometry, features.index_select(0, sender)) * weights.index_select(1, row_path)
    return messages.new_zeros(n_local, n_rows, messages.shape[2]).index_add(0, receiver, messages)


def sum_over_edges(values: torch.Tensor, edge_index: torch.Tensor, n_local: int) -> torch.Tensor:
    """Sum of per-edge values `[E, ...]` over each receiver's edges, `[n_local, ...]`."""
    return values.new_zeros(n_local, *values.shape[1:]).index_add(0, edge_index[1], values)
