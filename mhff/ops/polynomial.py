"""Polynomials in a few variables as nested sums (Horner's rule in several variables).

A contraction is one polynomial for each output component; `nested` takes common factors out of its
monomials, and `Writer` turns the result into the statements of a kernel. Both back ends write and
read coefficients in the order of `Node.coefficients`. The benchmark counts its multiply-adds on the
same trees (`multiply_adds`), so that it counts what kernels do.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

Monomial = tuple[tuple[int, ...], int]
"""Sorted factors, and the index of its coefficient."""


@dataclass
class Node:
    """Polynomial coefficient + sum of factor * child; None if there is no coefficient."""

    coefficient: int | None = None
    children: list[tuple[int, Node]] = field(default_factory=list)

    def coefficients(self) -> Iterator[int]:
        """Indices of the coefficients in the order in which code reads them."""
        if self.coefficient is not None:
            yield self.coefficient
        for _, child in self.children:
            yield from child.coefficients()

    def value(self, variables: Sequence[float], coefficients: Sequence[float]) -> float:
        """The polynomial's value."""
        total = 0.0 if self.coefficient is None else coefficients[self.coefficient]
        inside = (variables[i] * child.value(variables, coefficients) for i, child in self.children)
        return total + sum(inside)


def nested(monomials: Sequence[Monomial]) -> Node:
    """Take out the most frequent factor again and again, which leaves few inner nodes."""
    node = Node()
    rest = []
    for factors, q in monomials:
        if factors:
            rest.append((factors, q))
        else:
            node.coefficient = q
    while rest:
        counts = Counter(i for factors, _ in rest for i in set(factors))
        factor = max(counts, key=lambda i: (counts[i], i))
        inside = [(_without(factors, factor), q) for factors, q in rest if factor in factors]
        rest = [(factors, q) for factors, q in rest if factor not in factors]
        node.children.append((factor, nested(inside)))
    return node


def _without(factors: tuple[int, ...], factor: int) -> tuple[int, ...]:
    at = factors.index(factor)
    return factors[:at] + factors[at + 1 :]


def nested_rows(monomials: torch.Tensor, rows: torch.Tensor, dim: int) -> list[Node]:
    """Nested polynomial of each component; `monomials [Q, nu]` padded with `dim`, `rows [Q]`."""
    of_row: list[list[Monomial]] = [[] for _ in range(int(rows.max()) + 1)]
    for q, (factors, row) in enumerate(zip(monomials.tolist(), rows.tolist(), strict=True)):
        of_row[row].append((tuple(i for i in factors if i < dim), q))
    return [nested(found) for found in of_row]


def multiply_adds(node: Node) -> tuple[int, int]:
    """Multiply-adds of a polynomial's value in a kernel, and of its gradient.

    The gradient needs the values of all nodes but the root, one product for each factor's gradient,
    and one for the adjoint of each inner node.
    """
    products = _n_products(node)
    return products, (products - len(node.children)) + products + _n_inner_nodes(node)


def _n_products(node: Node) -> int:
    """Number of products factor * child."""
    return sum(1 + _n_products(child) for _, child in node.children)


def _n_inner_nodes(node: Node) -> int:
    """Number of nodes below the root that have children."""
    return sum(bool(child.children) + _n_inner_nodes(child) for _, child in node.children)


class Writer(ABC):
    """Writes the statements that evaluate polynomials, in the language of a back end.

    Variables are `a(i)`, coefficients are read one after the other, each once.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._n_names = 0

    @abstractmethod
    def define(self, name: str, value: str) -> None:
        """Give a new name to a value."""

    @abstractmethod
    def add(self, name: str, value: str) -> None:
        """Add to a value that has a name."""

    @abstractmethod
    def coefficient(self) -> str:
        """Read the next coefficient; its name."""

    @abstractmethod
    def variable(self, index: int) -> str:
        """Value of a variable."""

    @abstractmethod
    def gradient(self, index: int) -> str:
        """Name of the gradient with respect to a variable, to which statements add."""

    def value(self, node: Node, adjoint: str | None = None) -> str:
        """Statements of a node's value; its name. With `adjoint`, those of the gradient, too."""
        name = "" if node.coefficient is None else self.coefficient()
        if name and node.children:
            start, name = name, self._new_name("s")
            self.define(name, start)
        for factor, child in node.children:
            product = f"{self._child(factor, child, adjoint)} * {self.variable(factor)}"
            if name:
                self.add(name, product)
            else:
                name = self._new_name("s")
                self.define(name, product)
        return name

    def gradients(self, node: Node, adjoint: str) -> None:
        """Statements that add the gradient of `adjoint` times a polynomial."""
        if node.coefficient is not None:
            self.coefficient()
        for factor, child in node.children:
            self._child(factor, child, adjoint)

    def _child(self, factor: int, child: Node, adjoint: str | None) -> str:
        """Name of a child's value; with the adjoint of its parent, gradients as well."""
        if adjoint is None:
            return self.value(child)
        inner = None
        if child.children:
            inner = self._new_name("r")
            self.define(inner, f"{adjoint} * {self.variable(factor)}")
        inside = self.value(child, inner)
        self.add(self.gradient(factor), f"{adjoint} * {inside}")
        return inside

    def _new_name(self, prefix: str) -> str:
        self._n_names += 1
        return f"{prefix}{self._n_names}"
