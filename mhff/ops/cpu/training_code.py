"""C++ of polynomials for training: derivatives by variables and coefficients, first and second.

With P(a; c) a component's polynomial, g the cotangent of its value and v that of dP/da:

| function       | returns            | adds to d[i]           | adds to dc(q)        |
|----------------|--------------------|------------------------|----------------------|
| `row_backward` |                    | g dP/da_i              | g dP/dc_q            |
| `row_second`   | D_v P              | g D_v dP/da_i          | g D_v dP/dc_q        |

D_v is the derivative along v in the variables.
"""

from __future__ import annotations

from mhff.ops.cpu.polynomial_code import CppWriter, numbered, polynomial_code, value_code
from mhff.ops.polynomial import Node
from mhff.ops.shapes import ContractionShape

ZERO = "V{}"


class BackwardWriter(CppWriter):
    """Statements of the gradients by variables and coefficients."""

    def backward(self, node: Node, adjoint: str) -> str:
        """Statements of both gradients of `adjoint` times a polynomial; the name of its value."""
        value = self._sum()
        if node.coefficient is not None:
            q, coefficient = self._next_coefficient()
            self.add(value, coefficient)
            self._add_to_coefficient(q, adjoint)
        for factor, child in node.children:
            variable = self.variable(factor)
            if child.children:
                inner = self._product(adjoint, variable)
                inside = self.backward(child, inner)
            else:
                q, inside = self._next_coefficient()
                self._add_to_coefficient(q, f"{adjoint} * {variable}")
            self.add(value, f"{inside} * {variable}")
            self.add(self.gradient(factor), f"{adjoint} * {inside}")
        return value

    def _sum(self) -> str:
        name = self._new_name("s")
        self.define(name, ZERO)
        return name

    def _product(self, left: str, right: str) -> str:
        name = self._new_name("r")
        self.define(name, f"{left} * {right}")
        return name

    def _next_coefficient(self) -> tuple[int, str]:
        """Number and name of the next coefficient."""
        return self._next, self.coefficient()

    def _add_to_coefficient(self, q: int, value: str) -> None:
        self.lines.append(f"dc({q}, {value});")


class SecondWriter(BackwardWriter):
    """Statements of the derivatives of both gradients along v."""

    def second(self, node: Node, adjoint: str, tangent: str | None = None) -> tuple[str, str]:
        """Statements of a node's share; the names of its value and of the value's tangent.

        `adjoint` of the node, and the tangent of that: None at the root, where it is zero.
        """
        value = self._sum()
        along = self._sum()
        if node.coefficient is not None:
            q, coefficient = self._next_coefficient()
            self.add(value, coefficient)
            if tangent:
                self._add_to_coefficient(q, tangent)
        for factor, child in node.children:
            variable = self.variable(factor)
            if child.children:
                inside, change = self._inner(factor, child, adjoint, tangent)
                self.add(along, f"{change} * {variable}")
                self.add(self.gradient(factor), f"{adjoint} * {change}")
            else:
                inside = self._leaf(factor, adjoint, tangent)
            self.add(value, f"{inside} * {variable}")
            self.add(along, f"{inside} * v({factor})")
            if tangent:
                self.add(self.gradient(factor), f"{tangent} * {inside}")
        return value, along

    def _inner(
        self, factor: int, child: Node, adjoint: str, tangent: str | None
    ) -> tuple[str, str]:
        """A child that is no leaf: its value and the tangent of that."""
        inner = self._product(adjoint, self.variable(factor))
        change = self._product(adjoint, f"v({factor})")
        if tangent:
            self.add(change, f"{tangent} * {self.variable(factor)}")
        return self.second(child, inner, change)

    def _leaf(self, factor: int, adjoint: str, tangent: str | None) -> str:
        """A child that is a coefficient and nothing else: its name."""
        q, coefficient = self._next_coefficient()
        self._add_to_coefficient(q, f"{adjoint} * v({factor})")
        if tangent:
            self._add_to_coefficient(q, f"{tangent} * {self.variable(factor)}")
        return coefficient


def training_code(shape: ContractionShape) -> list[str]:
    """Functions `row`, `row_backward` and `row_second` of every component."""
    return [
        write(row, polynomial, first)
        for row, polynomial, first in numbered(shape)
        for write in (value_code, _row_backward, _row_second)
    ]


def curvature_code(shape: ContractionShape) -> list[str]:
    """Functions `row`, `row_adjoint` and `row_second` of every component."""
    return [*polynomial_code(shape), *(_row_second(*each) for each in numbered(shape))]


def _row_backward(row: int, polynomial: Node, first: int) -> str:
    writer = BackwardWriter(first)
    writer.backward(polynomial, "g")
    arguments = f"Constant<{row}>, const A a, const C c, const V g, V* d, const D dc"
    return _function("class A, class C, class D", f"void row_backward({arguments})", writer.lines)


def _row_second(row: int, polynomial: Node, first: int) -> str:
    writer = SecondWriter(first)
    _, along = writer.second(polynomial, "g")
    arguments = f"Constant<{row}>, const A a, const T v, const C c, const V g, V* d, const D dc"
    return _function(
        "class A, class T, class C, class D",
        f"V row_second({arguments})",
        [*writer.lines, f"return {along};"],
    )


def _function(types: str, head: str, body: list[str]) -> str:
    lines = [f"static INLINE {head} {{", *(f"  {line}" for line in body), "}"]
    return "\n  ".join([f"template <class V, {types}>", *lines])
