"""Ghost exchange: features of ghost atoms are copied from the atoms that they are images of.

A plan is an int64 tensor `[1 + n_ghosts]`. Its first entry is a handle. With handle 0 every owner
is on this rank, and the other entries are the local index of each ghost's owner. Any other handle
stands for an `Exchange` of this process, which knows where ghosts come from; the other entries are
then zero. The plan is an input of the operator, so one compiled program serves any number of ranks;
the model never asks which.

A plan without ghosts is not read: on a GPU, reading waits, and that is not possible while a CUDA
graph is recorded. All ranks must take part in an exchange, so `exchange_plan` refuses an `Exchange`
without ghosts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Protocol
from weakref import WeakValueDictionary

import torch

from mhff.graph import ONE_RANK
from mhff.ops.reference_operators import REFERENCE
from mhff.ops.registration import define

Operation = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Exchange(Protocol):
    """Copies rows of features between ranks; `forward` and `adjoint` are each other's adjoint."""

    n_ghosts: int
    """Number of ghosts of this rank, at least 1."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Append ghost rows to local ones: `[n_local, ...]` to `[n_local + n_ghosts, ...]`."""
        ...

    def adjoint(self, gradients: torch.Tensor) -> torch.Tensor:
        """Add ghost rows to their owners': `[n_local + n_ghosts, ...]` to `[n_local, ...]`."""
        ...


_EXCHANGES: WeakValueDictionary[int, Exchange] = WeakValueDictionary()
"""Exchanges in use, by handle: all that an operator receives of one is a number in a tensor."""
_HANDLES = itertools.count(ONE_RANK + 1)


def owner_plan(owners: torch.Tensor) -> torch.Tensor:
    """Plan for one rank from the local owner of each ghost, `[n_ghosts]`."""
    return torch.cat([owners.new_full((1,), ONE_RANK), owners]).to(torch.int64)


def exchange_plan(exchange: Exchange) -> torch.Tensor:
    """Plan that hands features to `exchange`; valid as long as the caller keeps that object."""
    if exchange.n_ghosts < 1:
        raise ValueError("expected an exchange with one ghost or more, so that no rank stays out")
    handle = next(_HANDLES)
    _EXCHANGES[handle] = exchange
    plan = torch.zeros(1 + exchange.n_ghosts, dtype=torch.int64)
    plan[0] = handle
    return plan


def _other_ranks(plan: torch.Tensor) -> Exchange | None:
    """The exchange of a plan; None if all owners are on this rank."""
    if plan.shape[0] == 1:
        return None
    handle = int(plan[0])
    if handle == ONE_RANK:
        return None
    exchange = _EXCHANGES.get(handle)
    if exchange is None:
        raise RuntimeError(
            f"expected a ghost plan for one rank (handle {ONE_RANK}) or of an exchange in use, got "
            f"handle {handle}"
        )
    return exchange


def _exchange(features: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    others = _other_ranks(plan)
    if others is not None:
        return others.forward(features)
    return torch.cat([features, features.index_select(0, plan[1:])])


def _add_to_owners(gradients: torch.Tensor, plan: torch.Tensor) -> torch.Tensor:
    others = _other_ranks(plan)
    if others is not None:
        return others.adjoint(gradients)
    owners = plan[1:]
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
