"""Nested polynomials: the values of their monomials, the code and the count of a kernel."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mhff.model.coupling import product_basis
from mhff.ops.cpu.polynomial_code import CppWriter, polynomial_code
from mhff.ops.cpu.training_code import BackwardWriter, SecondWriter
from mhff.ops.gpu.contraction_code import TritonWriter
from mhff.ops.polynomial import Monomial, Node, Writer, multiply_adds, nested
from mhff.ops.shapes import ContractionShape

N_VARIABLES = 5
FACTORS = st.lists(st.integers(0, N_VARIABLES - 1), max_size=4).map(lambda x: tuple(sorted(x)))


@st.composite
def monomials(draw: st.DrawFn) -> list[Monomial]:
    """Distinct monomials, each with its own coefficient."""
    factors = draw(st.lists(FACTORS, unique=True, max_size=12))
    return [(each, q) for q, each in enumerate(factors)]


NUMBERS = st.integers(-3, 3).map(float)
VARIABLES = st.lists(NUMBERS, min_size=N_VARIABLES, max_size=N_VARIABLES)


@given(monomials(), VARIABLES, st.lists(NUMBERS, min_size=12, max_size=12))
def test_nested_has_the_value_of_its_monomials(
    given_monomials: list[Monomial], variables: list[float], coefficients: list[float]
) -> None:
    expected = sum(
        coefficients[q] * math.prod(variables[i] for i in factors) for factors, q in given_monomials
    )
    assert nested(given_monomials).value(variables, coefficients) == expected  # of integers


@given(monomials())
def test_every_coefficient_is_read_once(given_monomials: list[Monomial]) -> None:
    read = list(nested(given_monomials).coefficients())
    assert sorted(read) == [q for _, q in given_monomials]


def writers() -> list[Writer]:
    """One of each back end."""
    code = SimpleNamespace(at_once=2, masked="", shape=SimpleNamespace(channels=8))
    return [CppWriter(0), TritonWriter(code)]  # type: ignore[arg-type]


def products(lines: list[str]) -> int:
    """Multiply-adds of statements; an address is not arithmetic on features."""
    return sum(line.count(" * ") for line in lines if "tl.load" not in line)


@given(monomials())
def test_the_count_is_that_of_the_code(given_monomials: list[Monomial]) -> None:
    polynomial = nested(given_monomials)
    value, gradient = multiply_adds(polynomial)
    for writer in writers():
        writer.value(polynomial)
        assert products(writer.lines) == value
    for writer in writers():
        writer.gradients(polynomial, "g")
        assert products(writer.lines) == gradient


@given(monomials(), VARIABLES)
def test_code_computes_value_and_gradient(
    given_monomials: list[Monomial], variables: list[float]
) -> None:
    """Triton's statements are Python: they run here on numbers, without the reads of packs."""
    polynomial = nested(given_monomials)
    coefficients = [float(q + 1) for q in range(len(given_monomials))]
    in_order = [coefficients[q] for q in polynomial.coefficients()]
    names: dict[str, float] = {f"a{i}": x for i, x in enumerate(variables)}
    names |= {f"d{i}": 0.0 for i in range(N_VARIABLES)} | {"g": 2.0}
    names |= {f"k{n}": value for n, value in enumerate(in_order)}
    for gradient in (False, True):
        writer = writers()[1]
        result = writer.gradients(polynomial, "g") if gradient else writer.value(polynomial)
        exec("\n".join(line for line in writer.lines if "tl.load" not in line), names)
        if result:
            assert names[result] == polynomial.value(variables, coefficients)
    for i in range(N_VARIABLES):
        assert names[f"d{i}"] == 2 * derivative(given_monomials, variables, coefficients, i)


@given(monomials(), VARIABLES, VARIABLES)
def test_code_of_training_computes_derivatives_by_variables_and_coefficients(
    given_monomials: list[Monomial], variables: list[float], along: list[float]
) -> None:
    """Its C++ without types is Python; numbers are integers, so comparisons are exact."""
    polynomial = nested(given_monomials)
    order = list(polynomial.coefficients())
    coefficients = [float(q + 1) for q in range(len(order))]
    g = 2.0

    def run(writer: BackwardWriter, result: str) -> tuple[float, list[float], list[float]]:
        d, dc = [0.0] * N_VARIABLES, [0.0] * len(order)

        def add(number: int, value: float) -> None:
            dc[order[number]] += value

        names = {
            "a": variables.__getitem__,
            "v": along.__getitem__,
            "c": lambda number: coefficients[order[number]],
            "d": d,
            "dc": add,
            "g": g,
        }
        lines = [line.removeprefix("V ").replace("V{}", "0.0") for line in writer.lines]
        exec("\n".join(lines), names)
        return names[result], d, dc  # type: ignore[return-value]

    backward, second = BackwardWriter(0), SecondWriter(0)
    value, d, dc = run(backward, backward.backward(polynomial, "g"))
    assert value == polynomial.value(variables, coefficients)
    x, c, v = (
        torch.tensor(numbers, dtype=torch.float64, requires_grad=True)
        for numbers in (variables, coefficients, along)
    )
    terms = [math.prod((x[i] for i in factors), start=c[q]) for factors, q in given_monomials]
    total = g * sum(terms, (0 * x).sum() + (0 * c).sum())
    of_x, of_c = torch.autograd.grad(total, (x, c), create_graph=True)
    assert d == of_x.tolist()
    assert dc == of_c.tolist()
    tangent, d, dc = run(second, second.second(polynomial, "g")[1])
    of_v = (v * of_x).sum()
    assert g * tangent == float(of_v.detach())
    of_x, of_c = torch.autograd.grad(of_v + (0 * x).sum() + (0 * c).sum(), (x, c))
    assert d == of_x.tolist()
    assert dc == of_c.tolist()


def derivative(
    given_monomials: list[Monomial], variables: list[float], coefficients: list[float], i: int
) -> float:
    """Derivative of a sum of monomials by one variable."""
    total = 0.0
    for factors, q in given_monomials:
        rest = list(factors)
        if i in rest:
            rest.remove(i)
            product = math.prod(variables[k] for k in rest)
            total += coefficients[q] * factors.count(i) * product
    return total


def test_a_polynomial_by_hand() -> None:
    """x0 (a x0 + b x1) + c x2: four products, one inner node; the root's sum has no gradient."""
    assert multiply_adds(nested([((0, 0), 0), ((0, 1), 1), ((2,), 2)])) == (4, 2 + 4 + 1)
    assert multiply_adds(Node()) == (0, 0)


@pytest.mark.parametrize(("l_max", "correlation"), [(2, 3), (3, 2)])
def test_a_contraction_counts_what_its_kernel_does(l_max: int, correlation: int) -> None:
    basis = product_basis(l_max, 0, correlation)
    shape = ContractionShape(basis["monomials"], basis["rows"], (l_max + 1) ** 2, 8)
    counted = [sum(multiply_adds(polynomial)) for polynomial in shape.polynomials]
    assert sum(counted) == sum(products(code.splitlines()) for code in polynomial_code(shape))
    assert sorted(shape.coefficient_order) == list(range(len(basis["rows"])))
