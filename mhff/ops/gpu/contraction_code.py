"""Triton code of a symmetric contraction and its adjoint: polynomials in one atom's features.

A program is one warp. It treats one atom and 32 channels, whose features and gradients are in
registers. There is about one multiply-add per coefficient and channel, so reading coefficients from
L1 limits it, at 128 bytes per clock and multiprocessor: 7 ns per atom for 410 terms and 128
channels in float32 (counted, not measured). Programs are ordered by channels first, so that the
coefficients of one tile (50 kB) stay in L1. Several atoms in a program would share what it reads,
but convolutions take 50 times as long.

A thread reads 16 bytes of coefficients at once. This also shortens compilation: each read costs
Triton's compiler time in proportion to the size of the whole kernel.
"""

from __future__ import annotations

import torch

from mhff.ops.gpu.module import JIT, TYPES, WARP_SIZE, indented, power_of_2
from mhff.ops.polynomial import Writer
from mhff.ops.shapes import ContractionShape

PACK_BYTES = 16
"""A thread reads this many bytes of coefficients at once."""


class ContractionCode:
    """Code of one shape: functions `forward` and `adjoint`."""

    def __init__(self, shape: ContractionShape, several_sets: bool, dtype: torch.dtype) -> None:
        self.shape = shape
        self.several_sets = several_sets
        self.type = TYPES[dtype]
        self.tile = min(WARP_SIZE, power_of_2(shape.channels))
        self.n_tiles = -(-shape.channels // self.tile)
        self.at_once = PACK_BYTES // dtype.itemsize
        self.masked = "" if shape.channels % self.tile == 0 else ", mask=inside, other=0"
        self.n_degrees = int(shape.dim**0.5 + 0.5)

    def pack(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Coefficients in the order of the code, `[n_sets, packs, channels, size of a pack]`.

        `coefficients [n_sets, Q, channels]`.
        """
        ordered = coefficients[:, self.shape.coefficient_order]
        packs = torch.nn.functional.pad(
            ordered, (0, 0, 0, -len(self.shape.coefficient_order) % self.at_once)
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
        """A kernel: atom and channels, their features `a0`, `a1`, ..., then `body`."""
        degrees = [int(i**0.5) for i in range(self.shape.dim)]
        lines = [
            "n_atoms = tl.cast(n_atoms, tl.int64)",
            "atom = tl.program_id(0).to(tl.int64)",
            "if atom >= n_atoms:",
            "    return",
            f"c = tl.program_id(1) * {self.tile} + tl.arange(0, {self.tile})",
            f"inside = c < {self.shape.channels}",
            *[
                f"a{i} = {self._load(f'features_{l}', l, i, given=True)}"
                for i, l in enumerate(degrees)
            ],
        ]
        stride = (
            -(-len(self.shape.coefficient_order) // self.at_once)
            * self.at_once
            * self.shape.channels
        )
        of_set = f" + tl.load(species + atom) * {stride}" if self.several_sets else ""
        lines += [
            f"packs = coefficients{of_set} + c[:, None] * {self.at_once} + tl.arange(0, "
            f"{self.at_once})[None, :]"
        ]
        return f"{JIT}def {name}({arguments}):\n" + "\n".join(indented([*lines, *body], 1))

    def _at(self, buffer: str, degree: int, component: int, given: bool = False) -> str:
        """Address in blocks `[n, 2l + 1, channels]`, one after the other unless each is given."""
        block = "" if given else f"n_atoms * {degree**2 * self.shape.channels} + "
        return (
            f"{buffer} + {block}atom * {(2 * degree + 1) * self.shape.channels} + "
            f"{(component - degree**2) * self.shape.channels} + c"
        )

    def _load(self, buffer: str, degree: int, component: int, given: bool = False) -> str:
        return f"tl.load({self._at(buffer, degree, component, given)}{self.masked})"

    def _store(self, buffer: str, component: int, value: str) -> str:
        return (
            f"tl.store({self._at(buffer, int(component**0.5), component)}, "
            f"{value}{self.masked.removesuffix(', other=0')})"
        )

    def _forward(self) -> list[str]:
        writer = TritonWriter(self)
        for row, polynomial in enumerate(self.shape.polynomials):
            result = writer.value(polynomial)
            writer.lines.append(self._store("products", row, result))
        return writer.lines

    def _adjoint(self) -> list[str]:
        zeros = [f"d{i} = tl.zeros([{self.tile}], {self.type})" for i in range(self.shape.dim)]
        writer = TritonWriter(self)
        for row, polynomial in enumerate(self.shape.polynomials):
            writer.define("g", self._load("gradient", int(row**0.5), row))
            writer.gradients(polynomial, "g")
        stores = [self._store("d_features", i, f"d{i}") for i in range(self.shape.dim)]
        return [*zeros, *writer.lines, *stores]


class TritonWriter(Writer):
    """Statements in Triton; coefficients are read a pack at a time."""

    def __init__(self, code: ContractionCode) -> None:
        super().__init__()
        self._code = code
        self._next = 0

    def define(self, name: str, value: str) -> None:
        """See `Writer.define`."""
        self.lines.append(f"{name} = {value}")

    def add(self, name: str, value: str) -> None:
        """See `Writer.add`."""
        self.lines.append(f"{name} += {value}")

    def coefficient(self) -> str:
        """See `Writer.coefficient`."""
        n = self._next
        if n % self._code.at_once == 0:
            pack = ", ".join(f"k{n + i}" for i in range(self._code.at_once))
            mask = ", mask=inside[:, None], other=0" if self._code.masked else ""
            address = f"packs + {n * self._code.shape.channels}"
            self.define(pack, f"pack(tl.load({address}{mask}))")
        self._next += 1
        return f"k{n}"

    def variable(self, index: int) -> str:
        """See `Writer.variable`."""
        return f"a{index}"

    def gradient(self, index: int) -> str:
        """See `Writer.gradient`."""
        return f"d{index}"


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
"""Functions that split a pack, by its size: four coefficients in float32, two in float64."""
