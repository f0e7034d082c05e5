"""C++ of polynomials: what a contraction's shape has as code (`include/shapes.h`)."""

from __future__ import annotations

from collections.abc import Iterator

from mhff.ops.polynomial import Node, Writer
from mhff.ops.shapes import ContractionShape


class CppWriter(Writer):
    """Statements in C++; coefficients are `c(first)`, `c(first + 1)`, ..."""

    def __init__(self, first: int) -> None:
        super().__init__()
        self._next = first

    def define(self, name: str, value: str) -> None:
        """See `Writer.define`."""
        self.lines.append(f"V {name} = {value};")

    def add(self, name: str, value: str) -> None:
        """See `Writer.add`."""
        self.lines.append(f"{name} += {value};")

    def coefficient(self) -> str:
        """See `Writer.coefficient`."""
        name = f"c{self._next}"
        self.define(name, f"c({self._next})")
        self._next += 1
        return name

    def variable(self, index: int) -> str:
        """See `Writer.variable`."""
        return f"a({index})"

    def gradient(self, index: int) -> str:
        """See `Writer.gradient`."""
        return f"d[{index}]"


def polynomial_code(shape: ContractionShape) -> list[str]:
    """Functions `row` and `row_adjoint` of every component."""
    return [
        code
        for row, polynomial, first in numbered(shape)
        for code in (value_code(row, polynomial, first), _row_adjoint(row, polynomial, first))
    ]


def numbered(shape: ContractionShape) -> Iterator[tuple[int, Node, int]]:
    """Row and polynomial of every component, and the number of its first coefficient."""
    first = 0
    for row, polynomial in enumerate(shape.polynomials):
        yield row, polynomial, first
        first += len(list(polynomial.coefficients()))


def value_code(row: int, polynomial: Node, first: int) -> str:
    """Function `row` of a component."""
    writer = CppWriter(first)
    result = writer.value(polynomial)
    arguments = f"Constant<{row}>, const A a, const C c"
    return _function(f"V row({arguments})", [*writer.lines, f"return {result};"])


def _row_adjoint(row: int, polynomial: Node, first: int) -> str:
    writer = CppWriter(first)
    writer.gradients(polynomial, "g")
    arguments = f"Constant<{row}>, const A a, const C c, const V g, V* d"
    return _function(f"void row_adjoint({arguments})", writer.lines)


def _function(head: str, body: list[str]) -> str:
    lines = [f"static INLINE {head} {{", *(f"  {line}" for line in body), "}"]
    return "\n  ".join(["template <class V, class A, class C>", *lines])
