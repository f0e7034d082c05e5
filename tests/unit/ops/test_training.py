"""Contractions of training in kernels: values, first and second derivatives, as in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import pytest
import torch
from threads import threads
from tolerances import ROUNDING, SINGLE_PRECISION, assert_close_to_scale
from torch.nn import functional

from mhff.errors import MHFFError
from mhff.files import kernel_folder
from mhff.model.coupling import product_basis
from mhff.ops.contraction import contract_sets
from mhff.ops.cpu.build import build
from mhff.ops.cpu.contraction import KernelContraction
from mhff.ops.cpu.library import load
from mhff.ops.shapes import ContractionShape


class Case(NamedTuple):
    """A contraction: highest degrees of features and products, body order, channels, sets."""

    l_max: int
    output_lmax: int
    correlation: int
    channels: int
    n_sets: int

    def basis(self) -> Mapping[str, torch.Tensor]:
        return product_basis(self.l_max, self.output_lmax, self.correlation)

    def shape(self) -> ContractionShape:
        basis = self.basis()
        dim = (self.l_max + 1) ** 2
        return ContractionShape(basis["monomials"], basis["rows"], dim, self.channels, trained=True)

    def constants(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        basis = self.basis()
        n_rows = (self.output_lmax + 1) ** 2
        return basis["monomials"], functional.one_hot(basis["rows"], n_rows).T.to(dtype)


CASES = {
    "linear": Case(1, 1, 1, 8, 2),
    "scalars": Case(2, 0, 3, 16, 3),
    "vectors": Case(2, 1, 3, 24, 1),
    "quadratic": Case(2, 2, 2, 8, 4),
    "quartic": Case(1, 1, 4, 40, 2),
}
N_ATOMS = (0, 1, 40)
"""None, one, and more than are visited at once."""


@lru_cache
def operators(dtype: torch.dtype) -> Mapping[str, Any]:
    """All cases in one library, because a compiler takes seconds to start."""
    shapes = {name: case.shape() for name, case in CASES.items()}
    return load(*build(shapes, dtype, kernel_folder()), shapes)


def inputs(case: Case, n_atoms: int, dtype: torch.dtype) -> tuple[list[Any], torch.Tensor]:
    """Features and coefficients with gradients, and species, of which one has no atom."""
    generator = torch.Generator().manual_seed(n_atoms)
    sizes = (n_atoms, (case.l_max + 1) ** 2), (case.n_sets, len(case.basis()["rows"]))
    numbers = [
        torch.randn(*size, case.channels, generator=generator, dtype=torch.float64).to(dtype)
        for size in sizes
    ]
    species = torch.randint(max(case.n_sets - 1, 1), (n_atoms,), generator=generator)
    return [x.requires_grad_() for x in numbers], species


def derivatives(function: Callable[..., torch.Tensor], given: list[torch.Tensor]) -> list[Any]:
    """Products, their gradients and the gradients of these, with random cotangents."""
    generator = torch.Generator().manual_seed(1)

    def cotangent(value: torch.Tensor) -> torch.Tensor:
        return torch.randn(value.shape, generator=generator, dtype=torch.float64).to(value.dtype)

    products = function(*given)
    gradient = cotangent(products).requires_grad_()
    first = torch.autograd.grad(products, given, gradient, create_graph=True)
    second = torch.autograd.grad(
        first, [*given, gradient], [cotangent(x) for x in first], materialize_grads=True
    )
    return [x.detach() for x in (products, *first, *second)]


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_atoms", N_ATOMS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_all_derivatives(name: str, dtype: torch.dtype, n_atoms: int, n_threads: int) -> None:
    case = CASES[name]
    constants = case.constants(dtype)
    kernel = KernelContraction(operators(dtype), name, dtype)
    given, species = inputs(case, n_atoms, dtype)
    with threads(n_threads):
        results = derivatives(lambda a, c: kernel(a, c, species, *constants), given)
    expected = derivatives(lambda a, c: contract_sets(a, c, species, *constants), given)
    tolerance = ROUNDING if dtype == torch.float64 else SINGLE_PRECISION
    for one, other in zip(results, expected, strict=True):
        assert one.shape == other.shape
        assert_close_to_scale(one, other, tolerance)


@pytest.mark.parametrize("name", CASES)
def test_derivatives_are_those_of_finite_differences(name: str) -> None:
    case = CASES[name]
    constants = case.constants(torch.float64)
    kernel = KernelContraction(operators(torch.float64), name, torch.float64)
    given, species = inputs(case, 3, torch.float64)

    def function(a: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return kernel(a, c, species, *constants)

    assert torch.autograd.gradcheck(function, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, given, fast_mode=True)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    case = CASES["vectors"]
    constants = case.constants(torch.float32)
    kernel = KernelContraction(operators(torch.float32), "vectors", torch.float32)
    given, species = inputs(case, 40, torch.float32)
    found = []
    for n_threads in (1, 2, 3):
        with threads(n_threads):
            found.append(derivatives(lambda a, c: kernel(a, c, species, *constants), given))
    for one, two, three in zip(*found, strict=True):
        assert torch.equal(one, two)
        assert torch.equal(one, three)


def test_strided_inputs() -> None:
    case = CASES["scalars"]
    constants = case.constants(torch.float64)
    given, species = inputs(case, 5, torch.float64)
    expected = contract_sets(*given, species, *constants).detach()
    strided = [x.detach().transpose(0, 1).contiguous().transpose(0, 1) for x in given]
    kernel = KernelContraction(operators(torch.float64), "scalars", torch.float64)
    assert_close_to_scale(kernel(*strided, species, *constants), expected, ROUNDING)


def test_a_third_derivative_is_refused() -> None:
    case = CASES["scalars"]
    kernel = KernelContraction(operators(torch.float64), "scalars", torch.float64)
    (a, c), species = inputs(case, 2, torch.float64)
    value = kernel(a, c, species, *case.constants(torch.float64)).square().sum()
    (first,) = torch.autograd.grad(value, a, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), a, create_graph=True)
    with pytest.raises(MHFFError, match="two derivatives, and a third was asked for"):
        torch.autograd.grad(second.sum(), a)


def test_a_library_without_training_does_not_depend_on_its_headers() -> None:
    """Else programs would be compiled again whenever a kernel of training changes."""
    from mhff.ops.cpu.build import _headers

    assert not any("training" in str(path.parent) for path in _headers({}))
    trained = _headers({"scalars": CASES["scalars"].shape()})
    assert any(path.parent.name == "training" for path in trained)
