"""Shapes that kernels are specialised for, independent of any back end.

A message has one row for each path (l1, l2) -> l3 and each m of l3. `MessageLayout` is the only
place that says where a row lies: ordered by degree l3, then m, then path, so that the paths to one
degree lie side by side and a linear map takes them as channels. Kernels keep messages flat, one
block `[n_atoms, 2 l3 + 1, paths to l3, channels]` after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch

from mhff.ops.polynomial import Node, nested_rows

ADJOINT = "_adjoint"
"""The adjoint of a convolution with gradients of the features."""
ADJOINT_OF_EDGES = "_adjoint_of_edges"
"""The adjoint for features that do not depend on positions, as in a first layer."""
MIN_COEFFICIENT = 1e-12
"""Smaller coupling coefficients are rounding errors of exact zeros."""


class MessageLayout:
    """The position of each row of a message; paths come ordered by l3."""

    def __init__(self, paths: Sequence[tuple[int, int, int]]) -> None:
        """`paths`: degrees l1 of the feature, l2 of the harmonic, l3 of the message."""
        targets = [l3 for _, _, l3 in paths]
        self.l_max = max(targets)
        self.paths_to = [targets.count(l) for l in range(self.l_max + 1)]
        """Number of paths to each degree."""
        self.rows_to = [(2 * l + 1) * n for l, n in enumerate(self.paths_to)]
        """Number of rows of each degree."""
        self.rows_below = [sum(self.rows_to[:l]) for l in range(self.l_max + 2)]
        """Number of rows of all lower degrees, for each degree and, in the end, of all degrees."""
        self.n_rows = sum(self.rows_to)
        self.slots = [targets[:p].count(l3) for p, l3 in enumerate(targets)]
        """Position of each path among the paths to its degree."""
        self._targets = targets

    def row(self, path: int, m: int) -> int:
        """Row of a path's component m, counted from 0."""
        l3 = self._targets[path]
        return self.rows_below[l3] + m * self.paths_to[l3] + self.slots[path]

    def rows(self) -> list[tuple[int, int]]:
        """(path, m) of every row."""
        found = [(p, m) for p, l3 in enumerate(self._targets) for m in range(2 * l3 + 1)]
        return sorted(found, key=lambda pair: self.row(*pair))


class RecursionTerm(NamedTuple):
    """A term of the harmonics' recursion: Y_out += value * Y_left * u_right, u the unit vector."""

    out: int
    left: int
    right: int
    value: float


@dataclass(frozen=True, eq=False)
class GeometryShape:
    """Distances and harmonics of edge vectors."""

    recursions: Sequence[torch.Tensor]
    """`mhff.model.coupling.harmonic_recursion(l)` for l = 2..l_max."""

    @property
    def l_max(self) -> int:
        """Largest degree."""
        return 1 + len(self.recursions)

    @property
    def n_harmonics(self) -> int:
        """Number of harmonics."""
        return (self.l_max + 1) ** 2

    @cached_property
    def recursion_terms(self) -> list[RecursionTerm]:
        """Terms of the recursion from degree 1, ordered by degree."""
        return [
            RecursionTerm(l**2 + m, (l - 1) ** 2 + row // 3, row % 3, float(matrix[row, m]))
            for l, matrix in enumerate(self.recursions, start=2)
            for row, m in matrix.abs().gt(MIN_COEFFICIENT).nonzero().tolist()
        ]


class Coupling(NamedTuple):
    """A non-zero coefficient of a path: row m of l3, component a of l1, harmonic b of all."""

    m: int
    a: int
    b: int
    value: float


@dataclass(frozen=True, eq=False)
class ConvolutionShape:
    """Convolution of one layer, with its radial weights in a table or given with each edge."""

    paths: Sequence[tuple[int, int, int]]
    """`mhff.model.coupling.convolution_paths`."""
    coupling: torch.Tensor
    """`[n_harmonics, rows, D_in]`: `mhff.model.coupling.convolution_coupling` or a file's."""
    channels: int
    mapped: Sequence[int] = ()
    """Width of each degree after the linear map; empty if weights come with edges."""
    trained: bool = False
    """Whether a kernel with weights of each edge has its second derivatives in one operator."""
    adjoints: Sequence[str] = (ADJOINT, ADJOINT_OF_EDGES)
    """The adjoints that a kernel with tables has: compiling one takes seconds."""

    @property
    def per_edge(self) -> bool:
        """Whether each edge brings its radial weights; such a kernel has second derivatives."""
        return not self.mapped

    @cached_property
    def layout(self) -> MessageLayout:
        """The layout of a message's rows."""
        return MessageLayout(self.paths)

    @property
    def message_widths(self) -> list[int]:
        """Channels of each degree of the messages, before any map."""
        return [n * self.channels for n in self.layout.paths_to]

    @property
    def l_max(self) -> int:
        """Largest degree of the messages and of the harmonics."""
        return self.layout.l_max

    @property
    def input_lmax(self) -> int:
        """Largest degree of the features."""
        return max(l1 for l1, _, _ in self.paths)

    @property
    def n_components(self) -> int:
        """Components of a sender's features, (input_lmax + 1)^2."""
        return self.coupling.shape[2]

    def couplings(self, path: int) -> list[Coupling]:
        """Non-zero coefficients of a path, ordered by m, then a, then b."""
        l1, _, l3 = self.paths[path]
        found = []
        for m in range(2 * l3 + 1):
            block = self.coupling[:, self.layout.row(path, m), l1**2 : (l1 + 1) ** 2].T
            for a, b in block.abs().gt(MIN_COEFFICIENT).nonzero().tolist():
                found.append(Coupling(m, a, b, float(block[a, b])))
        return found


@dataclass(frozen=True, eq=False)
class ContractionShape:
    """Symmetric contraction of one layer."""

    monomials: torch.Tensor
    """`[Q, nu]`, padded with `dim`: `mhff.model.coupling.product_basis`."""
    rows: torch.Tensor
    """`[Q]`: the packed output component of each."""
    dim: int
    """Components of the features, (l_max + 1)^2."""
    channels: int
    trained: bool = False
    """Whether kernels have gradients of the coefficients and second derivatives."""
    curved: bool = False
    """Whether kernels of flat features have second derivatives by the features."""

    @cached_property
    def n_rows(self) -> int:
        """Components of the products."""
        return int(self.rows.max()) + 1

    @cached_property
    def polynomials(self) -> list[Node]:
        """Nested polynomial of each component."""
        return nested_rows(self.monomials, self.rows, self.dim)

    @cached_property
    def coefficient_order(self) -> list[int]:
        """Indices of the coefficients in the order in which kernels read them."""
        return [q for polynomial in self.polynomials for q in polynomial.coefficients()]


@dataclass(frozen=True, eq=False)
class GateShape:
    """Gate of a non-linear block, and the linear map that follows it."""

    channels: int
    """Channels of each degree of the features, and of the gates of each."""
    l_max: int
    n_residuals: int
    """Degrees that have a contribution of the atoms' own features: the first ones."""

    @property
    def residuals(self) -> tuple[str, ...]:
        """Names of these contributions."""
        return tuple(f"residual_{degree}" for degree in range(self.n_residuals))

    @property
    def dim(self) -> int:
        """Components of the features."""
        return (self.l_max + 1) ** 2


@dataclass(frozen=True, eq=False)
class LookUpShape:
    """Radial functions from tables of any size, for training."""

    dtype: torch.dtype
    """Type of the values looked up; tables are in float64."""


Shape = GeometryShape | ConvolutionShape | ContractionShape | GateShape | LookUpShape
