"""Triton code of a symmetric contraction and of its adjoint: polynomials in the features of one atom, channel by channel.

A program works for a few atoms and a tile of channels. The features of its atoms are in registers, and so are their
gradients; coefficients are read once for all its atoms, in the order of the code. There is about one multiply-add per
coefficient and channel, so what limits it is reading coefficients from L1: 128 bytes per clock and multiprocessor, 2 ns per
atom for 410 terms, 128 channels in float32 and 4 atoms at once. More atoms would need more registers than a thread has.
Programs are ordered by tile first, so that the coefficients of one tile (50 kB) stay in L1.
"""

from __future__ import annotations

import torch

from mhff.ops.native.contraction_code import Node, coefficient_order, nested
from mhff.ops.native.parts import Contraction
from mhff.ops.triton.module import JIT, LANES, TYPES, Tiles, indented


class ContractionCode:
    """Code of one shape: functions `forward` and `adjoint`, and the order in which they want the coefficients."""

    def __init__(self, part: Contraction, several_sets: bool, dtype: torch.dtype, tiles: Tiles) -> None:
        self.channels, self.dim, self.n_rows, self.several_sets = part.channels, part.dim, part.n_rows, several_sets
        self.type, self.atoms = TYPES[dtype], max(1, tiles.atoms * 4 // dtype.itemsize)
        self.tile = min(LANES, tiles.channels(part.channels, dtype))
        self.n_tiles = -(-part.channels // self.tile)
        self.n_degrees = int(part.dim**0.5 + 0.5)
        self.polynomials = []
        self.order: list[int] = []
        for row in range(part.n_rows):
            mine = (part.rows == row).nonzero().flatten().tolist()
            self.polynomials.append(
                nested([(tuple(i for i in part.monomials[q].tolist() if i < part.dim), q) for q in mine])
            )
            self.order += coefficient_order(self.polynomials[-1])

    def code(self) -> str:
        """Both functions."""
        features = ", ".join(f"features_{l}" for l in range(self.n_degrees))
        inputs = f"{features}, coefficients, species"
        forward = self._function("forward", f"{inputs}, products, n_atoms", self._forward())
        return (
            forward
            + "\n\n\n"
            + self._function("adjoint", f"gradient, {inputs}, d_features, n_atoms", self._adjoint())
            + "\n"
        )

    def _function(self, name: str, arguments: str, body: list[str]) -> str:
        """Prologue: which atoms and channels, their features `a0`, `a1`, ..., where their coefficients are."""
        degrees = [int(i**0.5) for i in range(self.dim)]
        lines = [
            "n_atoms = tl.cast(n_atoms, tl.int64)",
            f"atom = tl.program_id(0).to(tl.int64) * {self.atoms} + tl.arange(0, {self.atoms})[:, None]",
            f"c = tl.program_id(1) * {self.tile} + tl.arange(0, {self.tile})[None, :]",
            f"inside = (atom < n_atoms) & (c < {self.channels})",
            *[f"a{i} = {self._load(f'features_{l}', l, i, given=True)}" for i, l in enumerate(degrees)],
        ]
        if self.several_sets:
            # each atom reads its own set; atoms of one element find it in L1
            stride = len(self.order) * self.channels
            lines += [f"of_set = coefficients + tl.load(species + atom, mask=atom < n_atoms, other=0) * {stride} + c"]
        else:
            lines += ["of_set = coefficients + c"]
        return f"{JIT}def {name}({arguments}):\n" + "\n".join(indented([*lines, *body], 1))

    def _at(self, buffer: str, degree: int, component: int, given: bool = False) -> str:
        """Address in blocks `[n, 2l + 1, channels]`, one after the other unless each is given."""
        block = "" if given else f"n_atoms * {degree**2 * self.channels} + "
        return f"{buffer} + {block}atom * {(2 * degree + 1) * self.channels} + {(component - degree**2) * self.channels} + c"

    def _load(self, buffer: str, degree: int, component: int, given: bool = False) -> str:
        return f"tl.load({self._at(buffer, degree, component, given)}, mask=inside, other=0)"

    def _store(self, buffer: str, component: int, value: str) -> str:
        return f"tl.store({self._at(buffer, int(component**0.5), component)}, {value}, mask=inside)"

    def _forward(self) -> list[str]:
        lines, first = [], 0
        for row, polynomial in enumerate(self.polynomials):
            writer = Writer(first, self.channels)
            result = writer.value(polynomial, None)
            lines += [*writer.lines, self._store("products", row, result)]
            first = writer.next
        return lines

    def _adjoint(self) -> list[str]:
        lines, first = [f"d{i} = tl.zeros([{self.atoms}, {self.tile}], {self.type})" for i in range(self.dim)], 0
        for row, polynomial in enumerate(self.polynomials):
            writer = Writer(first, self.channels)
            lines.append(f"g = {self._load('gradient', int(row**0.5), row)}")
            writer.value(polynomial, "g")
            lines += writer.lines
            first = writer.next
        return [*lines, *[self._store("d_features", i, f"d{i}") for i in range(self.dim)]]


class Writer:
    """Writes the code of one polynomial; it reads the coefficients `first`, `first + 1`, ..."""

    def __init__(self, first: int, channels: int) -> None:
        self.lines: list[str] = []
        self.next, self.channels = first, channels
        self.names = 0

    def value(self, node: Node, reverse: str | None) -> str:
        """Name of a node's value; with `reverse`, the name of its adjoint, code that adds to the factors' adjoints, too."""
        name = f"s{self.names}"
        self.names += 1
        started = node.coefficient is not None
        if started:
            self.lines.append(f"{name} = {self._coefficient()}")
        for factor, child in node.children:
            inner = None
            if reverse and child.children:
                inner = f"r{self.names}"
                self.lines.append(f"{inner} = {reverse} * a{factor}")
            inside = self.value(child, inner)
            self.lines.append(f"{name} {'+=' if started else '='} {inside} * a{factor}")
            started = True
            if reverse:
                self.lines.append(f"d{factor} += {reverse} * {inside}")
        return name

    def _coefficient(self) -> str:
        self.next += 1
        return f"tl.load(of_set + {(self.next - 1) * self.channels}, mask=c < {self.channels}, other=0)"
