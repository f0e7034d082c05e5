"""Ghosts are an exchange: rows of atoms that another rank (or a periodic image) owns are copied
from their owners.

A plan is an int64 tensor `[1 + n_ghosts]`: first a handle, then for each ghost the index of its
owner among the owner's own local atoms. Handle 0 means that every owner is on this rank. The plan
is an input of the operator, so one compiled program serves every number of ranks; the model never
asks which. A plan without ghosts is not read.
"""

from __future__ import annotations

import torch

ONE_RANK = 0
"""Handle of a plan in which every ghost is an image of a local atom."""


def owner_plan(owners: torch.Tensor) -> torch.Tensor:
    """Plan for one rank from the local owner of each ghost, `[n_ghosts]`."""
    return torch.cat([owners.new_full((1,), ONE_RANK), owners]).to(torch.int64)


def no_ghosts(device: torch.device | str = "cpu") -> torch.Tensor:
    """Plan of a system in which every sender is a local atom."""
    return torch.full((1,), ONE_RANK, dtype=torch.int64, device=device)


def _owners(plan: torch.Tensor) -> torch.Tensor:
    # reading waits for a GPU, which a CUDA graph that is being recorded cannot do; without ghosts
    # there is no need
    if plan.shape[0] > 1 and int(plan[0]) != ONE_RANK:
        raise RuntimeError(
            f"expected a ghost plan for one rank (handle {ONE_RANK}), got handle {int(plan[0])}"
        )
    return plan[1:]


@torch.library.custom_op("mhff::exchange_ghosts", mutates_args=())
def exchange_ghosts(features: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    """Append ghost rows to local ones: `[n_local, ...]` to `[n_local + n_ghosts, ...]`."""
    return torch.cat([features, features.index_select(0, _owners(plan))])


@torch.library.custom_op("mhff::exchange_ghosts_adjoint", mutates_args=())
def exchange_ghosts_adjoint(gradients: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    """Add ghost rows to their owners' rows: `[n_local + n_ghosts, ...]` to `[n_local, ...]`."""
    owners = _owners(plan)
    n_local = gradients.shape[0] - owners.shape[0]
    return gradients[:n_local].index_add(0, owners, gradients[n_local:])


@exchange_ghosts.register_fake
def _(features: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    return features.new_empty(features.shape[0] + plan.shape[0] - 1, *features.shape[1:])


@exchange_ghosts_adjoint.register_fake
def _(gradients: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    return gradients.new_empty(gradients.shape[0] - plan.shape[0] + 1, *gradients.shape[1:])


def _save_plan(ctx, inputs, output):  # type: ignore[no-untyped-def]
    ctx.save_for_backward(inputs[1])


def _exchange_backward(ctx, gradient):  # type: ignore[no-untyped-def]
    return exchange_ghosts_adjoint(gradient, ctx.saved_tensors[0]), None


def _adjoint_backward(ctx, gradient):  # type: ignore[no-untyped-def]
    return exchange_ghosts(gradient, ctx.saved_tensors[0]), None


exchange_ghosts.register_autograd(_exchange_backward, setup_context=_save_plan)
exchange_ghosts_adjoint.register_autograd(_adjoint_backward, setup_context=_save_plan)
