"""The ghost exchange as an operator: right, differentiable, and fit for compilers."""

from __future__ import annotations

import pytest
import torch

from mhff.graph import ONE_RANK
from mhff.ops.ghosts import exchange_ghosts, exchange_ghosts_adjoint, owner_plan

NO_GHOSTS = owner_plan(torch.zeros(0, dtype=torch.int64))
"""Plan of a system in which every sender is a local atom."""
OWNERS = torch.tensor([2, 0, 2, 1, 2])
N_LOCAL = 4


def values(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_ghosts_follow_local_atoms() -> None:
    features = values(N_LOCAL, 3, 2)
    result = exchange_ghosts(features, owner_plan(OWNERS))
    assert torch.equal(result[:N_LOCAL], features)
    assert torch.equal(result[N_LOCAL:], features[OWNERS])


def test_no_ghosts_is_the_identity() -> None:
    features = values(N_LOCAL, 3)
    result = exchange_ghosts(features, NO_GHOSTS)
    assert torch.equal(result, features)
    assert result.data_ptr() != features.data_ptr(), "an operator must not return its input"
    assert torch.equal(exchange_ghosts_adjoint(features, NO_GHOSTS), features)


def test_no_atoms() -> None:
    assert exchange_ghosts(values(0, 3), NO_GHOSTS).shape == (0, 3)


def test_adjoint_identity() -> None:
    plan, x, y = (
        owner_plan(OWNERS),
        values(N_LOCAL, 3, 2),
        values(N_LOCAL + len(OWNERS), 3, 2, seed=1),
    )
    one, other = (exchange_ghosts(x, plan) * y).sum(), (x * exchange_ghosts_adjoint(y, plan)).sum()
    torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rows", [N_LOCAL, N_LOCAL + len(OWNERS)])
def test_derivatives(rows: int) -> None:
    operator = exchange_ghosts if rows == N_LOCAL else exchange_ghosts_adjoint
    inputs = values(rows, 2).requires_grad_()
    plan = owner_plan(OWNERS)
    assert torch.autograd.gradcheck(lambda x: operator(x, plan), inputs)
    assert torch.autograd.gradgradcheck(lambda x: operator(x, plan).square(), inputs)


@pytest.mark.parametrize("rows", [N_LOCAL, N_LOCAL + len(OWNERS)])
def test_fit_for_compilers(rows: int) -> None:
    operator = exchange_ghosts if rows == N_LOCAL else exchange_ghosts_adjoint
    torch.library.opcheck(operator, (values(rows, 2).requires_grad_(), owner_plan(OWNERS)))


def test_a_plan_of_another_kind_is_refused() -> None:
    plan = owner_plan(OWNERS)
    plan[0] = ONE_RANK + 1
    with pytest.raises(RuntimeError, match=r"expected a ghost plan for one rank"):
        exchange_ghosts(values(N_LOCAL, 2), plan)
