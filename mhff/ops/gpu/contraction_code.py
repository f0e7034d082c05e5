"""Triton code of a symmetric contraction and of its adjoint: polynomials in the features of one
atom, channel by channel.

A program is one warp: it works for one atom and 32 channels, whose features and gradients are in
registers. There is about one multiply-add per coefficient and channel, so what limits it is reading
coefficients from L1, 128 bytes per clock and multiprocessor: 7 ns per atom for 410 terms and 128
channels in float32 (counted, not measured). Programs are ordered by channels first, so that the
coefficients of one tile (50 kB) stay in L1. Several atoms in a program would share what it reads,
but convolutions take 50 times as long.

A thread reads 16 bytes of coefficients at once. That is also for Triton's compiler, which takes
time for every read in proportion to the size of the whole kernel.
"""

from __future__ import annotations

import torch

from mhff.ops.cpu.contraction_code import Node, coefficient_order, nested
from mhff.ops.cpu.parts import Contraction
from mhff.ops.gpu.module import JIT, LANES, TYPES, indented, power_of_2


class ContractionCode:
    """Code of one shape: functions `forward` and `adjoint`, and the order in which they want the
    coefficients.
    """

    def __init__(self, part: Contraction, several_sets: bool, dtype: torch.dtype) -> None:
        self.channels, self.dim, self.n_rows, self.several_sets = (
            part.channels,
            part.dim,
            part.n_rows,
            several_sets,
        )
        self.type = TYPES[dtype]
        self.tile = min(LANES, power_of_2(part.channels))
        self.at_once = 16 // dtype.itemsize
        self.n_tiles = -(-part.channels // self.tile)
        self.masked = "" if part.channels % self.tile == 0 else ", mask=inside, other=0"
        self.n_degrees = int(part.dim**0.5 + 0.5)
        self.polynomials = []
        self.order: list[int] = []
        for row in range(part.n_rows):
            mine = (part.rows == row).nonzero().flatten().tolist()
            self.polynomials.append(
                nested(
                    [
                        (tuple(i for i in part.monomials[q].tolist() if i < part.dim), q)
                        for q in mine
                    ]
                )
            )
            self.order += coefficient_order(self.polynomials[-1])

    def pack(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Coefficients `[n_sets, Q, channels]` as `[n_sets, packs, channels, size of a pack]`, in
        the order of the code.
        """
        ordered = coefficients[:, self.order]
        packs = torch.nn.functional.pad(
            ordered, (0, 0, 0, -len(self.order) % self.at_once)
        ).unflatten(1, (-1, self.at_once))
        return packs.transpose(2, 3).contiguous()

    def code(self) -> str:
        """Both functions."""
        features = ", ".join(f"features_{l}" for l in range(self.n_degrees))
        inputs = f"{features}, coefficients, species"
        forward = self._function("forward", f"{inputs}, products, n_atoms", self._forward())
        adjoint = self._function(
            "adjoint", f"gradient, {inputs}, d_features, n_atoms", self._adjoint()
        )
        return f"{PACKS[self.at_once]}{forward}\n\n\n{adjoint}\n"

    def _function(self, name: str, arguments: str, body: list[str]) -> str:
        """Prologue: which atoms and channels, their features `a0`, `a1`, ..., where their
        coefficients are.
        """
        degrees = [int(i**0.5) for i in range(self.dim)]
        lines = [
            "n_atoms = tl.cast(n_atoms, tl.int64)",
            "atom = tl.program_id(0).to(tl.int64)",
            "if atom >= n_atoms:",
            "    return",
            f"c = tl.program_id(1) * {self.tile} + tl.arange(0, {self.tile})",
            f"inside = c < {self.channels}",
            *[
                f"a{i} = {self._load(f'features_{l}', l, i, given=True)}"
                for i, l in enumerate(degrees)
            ],
        ]
        stride = -(-len(self.order) // self.at_once) * self.at_once * self.channels
        of_set = f" + tl.load(species + atom) * {stride}" if self.several_sets else ""
        lines += [
            f"packs = coefficients{of_set} + c[:, None] * {self.at_once} + tl.arange(0, "
            f"{self.at_once})[None, :]"
        ]
        return f"{JIT}def {name}({arguments}):\n" + "\n".join(indented([*lines, *body], 1))

    def _at(self, buffer: str, degree: int, component: int, given: bool = False) -> str:
        """Address in blocks `[n, 2l + 1, channels]`, one after the other unless each is given."""
        block = "" if given else f"n_atoms * {degree**2 * self.channels} + "
        return (
            f"{buffer} + {block}atom * {(2 * degree + 1) * self.channels} + "
            f"{(component - degree**2) * self.channels} + c"
        )

    def _load(self, buffer: str, degree: int, component: int, given: bool = False) -> str:
        return f"tl.load({self._at(buffer, degree, component, given)}{self.masked})"

    def _store(self, buffer: str, component: int, value: str) -> str:
        return (
            f"tl.store({self._at(buffer, int(component**0.5), component)}, "
            f"{value}{self.masked.removesuffix(', other=0')})"
        )

    def _forward(self) -> list[str]:
        lines, first = [], 0
        for row, polynomial in enumerate(self.polynomials):
            writer = Writer(first, self)
            result = writer.value(polynomial, None)
            lines += [*writer.lines, self._store("products", row, result)]
            first = writer.next
        return lines

    def _adjoint(self) -> list[str]:
        lines, first = [f"d{i} = tl.zeros([{self.tile}], {self.type})" for i in range(self.dim)], 0
        for row, polynomial in enumerate(self.polynomials):
            writer = Writer(first, self)
            lines.append(f"g = {self._load('gradient', int(row**0.5), row)}")
            writer.value(polynomial, "g")
            lines += writer.lines
            first = writer.next
        return [*lines, *[self._store("d_features", i, f"d{i}") for i in range(self.dim)]]


class Writer:
    """Writes the code of one polynomial; it reads the coefficients `first`, `first + 1`, ..."""

    def __init__(self, first: int, code: ContractionCode) -> None:
        self.lines: list[str] = []
        self.next, self.code = first, code
        self.names = 0

    def value(self, node: Node, reverse: str | None) -> str:
        """Name of a node's value; with `reverse`, the name of its adjoint, code that adds to the
        factors' adjoints, too.
        """
        name = f"s{self.names}"
        self.names += 1
        started = node.coefficient is not None
        if started:
            coefficient = self._coefficient()
            self.lines.append(f"{name} = {coefficient}")
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
        """Name of the next coefficient; the first of a pack reads the pack."""
        n, code = self.next, self.code
        if n % code.at_once == 0:
            pack = ", ".join(f"k{n + i}" for i in range(code.at_once))
            mask = "" if code.masked == "" else ", mask=inside[:, None], other=0"
            self.lines.append(f"{pack} = pack(tl.load(packs + {n * code.channels}{mask}))")
        self.next += 1
        return f"k{n}"


PACKS = {
    2: """
@triton.jit
def pack(coefficients):
    return tl.split(coefficients)


""",
    4: """
@triton.jit
def pack(coefficients):
    even, odd = tl.split(tl.reshape(coefficients, [coefficients.shape[0], 2, 2]))
    k0, k2 = tl.split(even)
    k1, k3 = tl.split(odd)
    return k0, k1, k2, k3


""",
}
"""Functions that take a pack apart, by its size: four coefficients in float32, two in float64."""
