"""Values of splines in kernels: against scipy's splines, and all derivatives in float64."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from threads import threads
from tolerances import ROUNDING, SINGLE_PRECISION, assert_close_to_scale

from mhff.files import kernel_folder
from mhff.ops import registration
from mhff.ops.cpu.build import build
from mhff.ops.cpu.library import load
from mhff.ops.cpu.look_up import KernelLookUp
from mhff.ops.shapes import LookUpShape
from mhff.ops.spline import DEGREE, Spline

SPLINE = Spline(0.5, 4.0, 7)
WIDTHS = (1, 20, 530)
"""One column, no whole vectors, more than are treated at once."""


@lru_cache
def operators(dtype: torch.dtype) -> Mapping[str, Any]:
    shapes = {"look_up": LookUpShape(dtype)}
    return load(*build(shapes, dtype, kernel_folder()), shapes)


def look_up(
    r: torch.Tensor, which: torch.Tensor, tables: torch.Tensor, dtype: torch.dtype = torch.float64
) -> torch.Tensor:
    """Values of the tables `[n_tables, rows, width]` at distances, by the kernels."""
    kernel = KernelLookUp(operators(dtype), "look_up", SPLINE)
    intervals, taps = kernel.taps(r)
    first = intervals + SPLINE.n_rows * which.to(torch.int32)
    rows = tables.flatten(0, 1)
    return kernel(first, kernel.order(first, len(rows)), taps, rows)


def inputs(n_edges: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Distances, both ends of the spline among them, the table of each, and two tables."""
    generator = torch.Generator().manual_seed(width)
    r = SPLINE.r_min + 3.5 * torch.rand(n_edges, generator=generator, dtype=torch.float64)
    r[:2] = torch.tensor([SPLINE.r_min, SPLINE.r_max], dtype=torch.float64)[:n_edges]
    which = torch.randint(2, (n_edges,), generator=generator)
    tables = torch.randn(2, SPLINE.n_rows, width, generator=generator, dtype=torch.float64)
    return r.requires_grad_(), which, tables.requires_grad_()


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_edges", [0, 1, 40])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_values_are_those_of_splines(
    dtype: torch.dtype, width: int, n_edges: int, n_threads: int
) -> None:
    r, which, tables = inputs(n_edges, width)
    with threads(n_threads):
        found = look_up(r.to(dtype), which, tables, dtype).detach()
    knots = np.arange(-DEGREE, SPLINE.n_intervals + DEGREE + 1.0)
    at = (r.to(dtype).detach().double().numpy() - SPLINE.r_min) * SPLINE.per_length
    of_tables = np.array([BSpline(knots, table, DEGREE)(at) for table in tables.detach().numpy()])
    expected = of_tables[which.numpy(), np.arange(n_edges)]
    assert found.dtype == dtype
    tolerance = ROUNDING if dtype == torch.float64 else SINGLE_PRECISION
    assert_close_to_scale(found, torch.from_numpy(expected), tolerance)


@pytest.mark.parametrize("width", WIDTHS)
def test_derivatives_are_those_of_finite_differences(width: int) -> None:
    r, which, tables = inputs(6, width)
    r = (r.detach() * 0.9 + 0.1).requires_grad_()  # away from the ends, where nothing is defined

    def function(r: torch.Tensor, tables: torch.Tensor) -> torch.Tensor:
        return look_up(r, which, tables)

    assert torch.autograd.gradcheck(function, (r, tables), fast_mode=True)
    assert torch.autograd.gradgradcheck(function, (r, tables), fast_mode=True)


def test_sums_do_not_depend_on_the_number_of_threads() -> None:
    r, which, tables = inputs(40, 530)
    found = []
    for n_threads in (1, 2):
        with threads(n_threads):
            value = look_up(r, which, tables).square().sum()
            found.append(torch.autograd.grad(value, (r, tables)))
    for one, two in zip(*found, strict=True):
        assert torch.equal(one, two)


def test_only_the_gradients_that_are_asked_for_are_computed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Forces differentiate by distances alone, though tables depend on trained weights."""
    called = []
    original = registration.find  # by which a backward pass finds its operators

    def recorded(namespace: str, name: str) -> Any:
        called.append(name)
        return original(namespace, name)

    monkeypatch.setattr(registration, "find", recorded)
    r, which, tables = inputs(6, 20)
    scaled = 2 * tables
    value = look_up(r, which, scaled).sum()
    (_,) = torch.autograd.grad(value, r, create_graph=True)
    assert "look_up_by_taps" in called
    assert "look_up_by_table" not in called
