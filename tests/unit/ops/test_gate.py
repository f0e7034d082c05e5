"""The gate of a non-linear block and its map in one kernel, against plain torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from threads import threads
from tolerances import ROUNDING, SINGLE_PRECISION, Tolerance, assert_close
from torch.nn.functional import silu

from mhff.files import kernel_folder
from mhff.ops.cpu.build import build
from mhff.ops.cpu.library import load
from mhff.ops.shapes import GateShape

SHAPES = {
    "one": GateShape(channels=8, l_max=1, n_residuals=1),
    "two": GateShape(channels=24, l_max=2, n_residuals=2),
    "all": GateShape(channels=64, l_max=3, n_residuals=4),
}


@pytest.fixture(
    scope="module",
    params=[("native", torch.float32), ("native", torch.float64), ("x86-64-v3", torch.float32)],
)
def kernels(request: pytest.FixtureRequest) -> tuple[Any, torch.dtype]:
    """Operators of a library of gates, and their precision."""
    march, dtype = request.param
    return load(*build(SHAPES, dtype, kernel_folder(), march), SHAPES), dtype


def tolerance(dtype: torch.dtype) -> Tolerance:
    return ROUNDING if dtype == torch.float64 else SINGLE_PRECISION


class Inputs:
    """Random inputs of a gate, in float64."""

    def __init__(self, shape: GateShape, n: int, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)

        def randoms(*sizes: int) -> torch.Tensor:
            return torch.randn(*sizes, generator=generator, dtype=torch.float64)

        self.n = n
        self.widths = [shape.channels * (shape.l_max + 1), *[shape.channels] * shape.l_max]
        sizes = [n * (2 * l + 1) * width for l, width in enumerate(self.widths)]
        self.sizes = sizes
        self.mapped = randoms(sum(sizes))
        self.scale = randoms(n)
        self.residual = [randoms(n, 2 * l + 1, self.widths[l]) for l in range(shape.n_residuals)]
        self.maps = [
            randoms(shape.channels, shape.channels) / shape.channels**0.5 for _ in self.widths
        ]
        self.gradient = randoms(n * shape.dim * shape.channels)

    @property
    def differentiable(self) -> list[torch.Tensor]:
        return [self.mapped, self.scale, *self.residual]

    def expected(self, *inputs: torch.Tensor) -> torch.Tensor:
        """The formula: silu of the scalars, the gates' sigmoid times the other degrees."""
        mapped, scale, *residual = inputs
        blocks = mapped.split(self.sizes)
        z = [
            scale[:, None, None] * block.view(self.n, 2 * l + 1, width)
            for l, (block, width) in enumerate(zip(blocks, self.widths, strict=True))
        ]
        z = [x + residual[l] if l < len(residual) else x for l, x in enumerate(z)]
        scalars, *gates = z[0].chunk(len(z), dim=2)
        gated = [silu(scalars), *(g.sigmoid() * x for g, x in zip(gates, z[1:], strict=True))]
        return torch.cat([(x @ m).flatten() for x, m in zip(gated, self.maps, strict=True)])

    def packed(self, operators: Any, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps as the kernel reads them, and their transposes."""
        pack = operators["multiply_pack"]
        maps = [pack(matrix.to(dtype).contiguous()) for matrix in self.maps]
        transposed = [pack(matrix.T.to(dtype).contiguous()) for matrix in self.maps]
        return torch.cat(maps), torch.cat(transposed)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(("n", "n_threads"), [(0, 1), (1, 1), (5, 2), (301, 1), (301, 3)])
@pytest.mark.parametrize("of_residuals", [True, False])
def test_values_and_gradients(
    kernels: tuple[Any, torch.dtype], name: str, n: int, n_threads: int, of_residuals: bool
) -> None:
    operators, dtype = kernels
    x = Inputs(SHAPES[name], n)
    taken = x.differentiable if of_residuals else x.differentiable[:2]
    exact = [
        tensor.clone().requires_grad_(index < len(taken))
        for index, tensor in enumerate(x.differentiable)
    ]
    right = x.expected(*exact)
    gradients = torch.autograd.grad(right, exact[: len(taken)], x.gradient)
    inputs = [
        tensor.to(dtype, copy=True).requires_grad_(index < len(taken))
        for index, tensor in enumerate(x.differentiable)
    ]
    with threads(n_threads):
        found = operators[f"{name}"](*inputs, *x.packed(operators, dtype))
        of_found = torch.autograd.grad(found, inputs[: len(taken)], x.gradient.to(dtype))
    assert_close(found.detach().double(), right.detach(), tolerance(dtype))
    for value, gradient in zip(of_found, gradients, strict=True):
        assert_close(value.double(), gradient, tolerance(dtype))


@pytest.mark.parametrize("value", [1e-30, 20.0, 80.0, 95.0, 700.0, 1e4, 1e30])
@pytest.mark.parametrize("sign", [-1, 1])
def test_gates_that_are_open_or_closed(
    kernels: tuple[Any, torch.dtype], value: float, sign: int
) -> None:
    operators, dtype = kernels
    x = Inputs(SHAPES["one"], 3)
    x.mapped = torch.full_like(x.mapped, sign * value)
    x.scale = torch.ones_like(x.scale)
    x.residual = [torch.zeros_like(tensor) for tensor in x.residual]
    x.maps = [torch.eye(8, dtype=torch.float64)] * 2
    inputs = [tensor.to(dtype, copy=True).requires_grad_() for tensor in x.differentiable]
    found = operators["one"](*inputs, *x.packed(operators, dtype))
    right = x.expected(*x.differentiable)
    assert_close(found.detach().double() / value, right / value, tolerance(dtype))
    gradients = torch.autograd.grad(found.sum(), inputs)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


def test_what_is_not_a_number_shows(kernels: tuple[Any, torch.dtype]) -> None:
    operators, dtype = kernels
    x = Inputs(SHAPES["one"], 4)
    x.mapped[3] = torch.nan  # a scalar of the first atom
    found = operators["one"](
        *(tensor.to(dtype) for tensor in x.differentiable), *x.packed(operators, dtype)
    )
    of_atoms = found[: 4 * 8].view(4, 8).isnan()
    assert of_atoms.all(1).tolist() == [True, False, False, False]
    assert not found[4 * 8 :].isnan().any()
