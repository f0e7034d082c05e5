"""C++ of a symmetric contraction: its polynomials as nested products (Horner's rule in several
variables).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

Monomial = tuple[tuple[int, ...], int]
"""Sorted factors, and the index of its coefficient."""


@dataclass
class Node:
    """Polynomial coefficient + sum of factor * child; None where there is no coefficient."""

    coefficient: int | None = None
    children: list[tuple[int, Node]] = field(default_factory=list)


def nested(monomials: list[Monomial]) -> Node:
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


def coefficient_order(node: Node) -> Iterator[int]:
    """Coefficients in the order in which the code reads them."""
    if node.coefficient is not None:
        yield node.coefficient
    for _, child in node.children:
        yield from coefficient_order(child)


class Writer:
    """Writes the code of one polynomial; coefficients are c[0], c[1], ... in reading order."""

    def __init__(self, first: int) -> None:
        self.lines: list[str] = []
        self.next = first
        self.names = 0

    def value(self, node: Node, reverse: str | None) -> str:
        """Code that evaluates a node, and with `reverse` (name of the node's adjoint) adds to the
        factors' adjoints.
        """
        name = f"s{self.names}"
        self.names += 1
        started = node.coefficient is not None
        if started:
            self.lines.append(f"V {name} = c({self.next});")
            self.next += 1
        for factor, child in node.children:
            if not child.children:
                inside = f"c{self.next}"
                self.lines.append(f"const V {inside} = c({self.next});")
                self.next += 1
            else:
                inner = None
                if reverse:
                    inner = f"r{self.names}"
                    self.lines.append(f"const V {inner} = {reverse} * a({factor});")
                inside = self.value(child, inner)
            self.lines.append(
                f"{name} += {inside} * a({factor});"
                if started
                else f"V {name} = {inside} * a({factor});"
            )
            started = True
            if reverse:
                self.lines.append(f"d[{factor}] += {reverse} * {inside};")
        return name


def contraction_code(
    monomials: torch.Tensor, rows: torch.Tensor, dim: int
) -> tuple[str, list[int]]:
    """C++ functions `row` and `row_adjoint` of every component, and the order in which they want
    the coefficients.

    `monomials [Q, nu]` padded with `dim`, `rows [Q]` the component of each.
    """
    functions: list[str] = []
    order: list[int] = []
    for row in range(int(rows.max()) + 1):
        mine = (rows == row).nonzero().flatten().tolist()
        tree = nested([(tuple(i for i in monomials[q].tolist() if i < dim), q) for q in mine])
        functions += [_function(row, tree, len(order), reverse) for reverse in (False, True)]
        order += coefficient_order(tree)
    return "\n".join(functions), order


def _function(row: int, tree: Node, first: int, reverse: bool) -> str:
    writer = Writer(first)
    result = writer.value(tree, "g" if reverse else None)
    head = (
        f"static INLINE void row_adjoint(std::integral_constant<int, {row}>, const A a, const C c, "
        "const V g, V* d)"
        if reverse
        else f"static INLINE V row(std::integral_constant<int, {row}>, const A a, const C c)"
    )
    lines = writer.lines if reverse else [*writer.lines, f"return {result};"]
    return (
        "  template <class V, class A, class C>\n  "
        + head
        + " {\n    "
        + "\n    ".join(lines)
        + "\n  }"
    )
