"""Ghost exchange: features of ghost atoms are copied from the atoms that they are images of.

A plan is an int64 tensor `[1 + n_ghosts]`: first a handle, then for each ghost the index of its
owner among the owner's own local atoms. Handle 0 means that every owner is on this rank. The plan
is an input of the operator, so one compiled program serves any number of ranks; the model never
asks which. A plan without ghosts is not read.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from mhff.graph import ONE_RANK
from mhff.ops.operators import REFERENCE
from mhff.ops.registration import define

Operation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def owner_plan(owners: torch.Tensor) -> torch.Tensor:
    """Plan for one rank from the local owner of each ghost, `[n_ghosts]`."""
    return torch.cat([owners.new_full((1,), ONE_RANK), owners]).to(torch.int64)


def _owners(plan: torch.Tensor) -> torch.Tensor:
    # reading a value waits for the GPU, which is not possible while a CUDA graph is recorded;
    # without ghosts there is nothing to read
    if plan.shape[0] > 1 and int(plan[0]) != ONE_RANK:
        raise RuntimeError(
            f"expected a ghost plan for one rank (handle {ONE_RANK}), got handle {int(plan[0])}"
        )
    return plan[1:]


def _exchange(features: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    return torch.cat([features, features.index_select(0, _owners(plan))])


def _add_to_owners(gradients: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    owners = _owners(plan)
    n_local = gradients.shape[0] - owners.shape[0]
    return gradients[:n_local].index_add(0, owners, gradients[n_local:])


_OPERATORS = define(
    "mhff",
    "exchange_ghosts",
    REFERENCE["exchange_ghosts"],
    {"": _exchange, "_adjoint": _add_to_owners},
)
exchange_ghosts: Operation = _OPERATORS[""]
"""Append ghost rows to local ones: `[n_local, ...]`, plan to `[n_local + n_ghosts, ...]`."""
exchange_ghosts_adjoint: Operation = _OPERATORS["_adjoint"]
"""Add ghost rows to their owners' rows: `[n_local + n_ghosts, ...]`, plan to `[n_local, ...]`."""
