"""Checks of an evaluator's inputs. Compiled programs do not look: they would read memory that is
not theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhff.errors import MHFFError


def check_inputs(
    edge_vectors: torch.Tensor,
    edge_index: torch.Tensor,
    species: torch.Tensor,
    head_weights: torch.Tensor,
    ghost_plan: torch.Tensor | None,
    state: torch.Tensor | None,
    heads: Sequence[str],
    elements: Sequence[str],
) -> None:
    """Raise MHFFError unless shapes, types and ranges are those of
    `mhff.evaluator.Evaluator.evaluate`.

    Ranges are checked where the tensors are on the CPU; on a GPU, torch's own kernels check them.
    """
    n_edges, n_local, n_ghosts = edge_vectors.shape[0], head_weights.shape[0], 0
    _check_shape("edge_vectors", edge_vectors, (n_edges, 3), "[E, 3]")
    _check_shape("edge_index", edge_index, (2, n_edges), "[2, E]", torch.int64)
    _check_shape("head_weights", head_weights, (n_local, len(heads)), "[n_local, n_heads]")
    if ghost_plan is not None:
        n_ghosts = ghost_plan.numel() - 1
        _check_shape(
            "ghost_plan", ghost_plan, (1 + max(0, n_ghosts),), "[1 + n_ghosts]", torch.int64
        )
    n_all = n_local + n_ghosts
    _check_shape("species", species, (n_all,), "[n_all]", torch.int64)
    if state is not None:
        _check_shape("state", state, (n_all, 2), "[n_all, 2]")
    _check_range("edge_index[0] (senders)", edge_index[0], n_all)
    _check_range("edge_index[1] (receivers)", edge_index[1], n_local)
    _check_range("species", species, len(elements))


def _check_shape(
    name: str,
    tensor: torch.Tensor,
    shape: tuple[int, ...],
    words: str,
    dtype: torch.dtype | None = None,
) -> None:
    if tuple(tensor.shape) != shape:
        raise MHFFError(
            f"expected {name} {words} of shape {list(shape)}, got {list(tensor.shape)}; make it of "
            "that shape"
        )
    if dtype is not None and tensor.dtype != dtype:
        raise MHFFError(f"expected {name} of type {dtype}, got {tensor.dtype}; convert it")


def _check_range(name: str, tensor: torch.Tensor, count: int) -> None:
    if tensor.device.type != "cpu" or not tensor.numel():
        return
    lowest, highest = (int(value) for value in tensor.aminmax())
    if lowest < 0 or highest >= count:
        raise MHFFError(
            f"expected numbers from 0 to {count - 1} in {name}, got "
            f"{lowest if lowest < 0 else highest}; correct the graph"
        )
