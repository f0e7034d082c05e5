"""Triton code of a walk along an atom's edges, which a convolution and its adjoint share.

A program is one warp. It treats one atom, one tile of channels (4 per thread in float32) and the
paths of one harmonic degree l2, and walks along the atom's edges. Values of an edge are scalars,
values of a channel are in registers (130 of a thread in the forward kernel, 219 in the adjoint:
l_max 3, sm_90, nothing spilled), and threads meet only in sums over channels. Nothing per edge and
channel is stored.

Per edge and path a program reads six rows of the table, which is most of its traffic: 10 paths and
128 channels in float32 make 30 kB per edge, 2.6 MB per atom. From L2 (5 TB/s) that would take
0.5 us per atom, from L1 (128 bytes per clock and multiprocessor) 0.1 us, and the arithmetic takes
0.08 us (counted for an H100, not measured). So programs are ordered by degree l2 first, then tile,
then atom: those that run together read the same part of the table (at most 3 paths, 200 kB in
float32), which L1 can hold as long as there is one table and not one per pair of elements. Paths of
one degree also share a gradient by the harmonics, which no other program has.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mhff.ops.gpu.module import MAX_REGISTERS, TYPES, indented, tile_of
from mhff.ops.gpu.spline import interval
from mhff.ops.shapes import ConvolutionShape, Coupling
from mhff.ops.spline import Spline


@dataclass(frozen=True)
class PathCode:
    """One path: index, degrees, and non-zero couplings, whose harmonics are counted from l2^2."""

    index: int
    l1: int
    l2: int
    l3: int
    slot: int
    couplings: tuple[Coupling, ...]

    @property
    def n_rows(self) -> int:
        """Rows of its messages."""
        return 2 * self.l3 + 1


class EdgeLoop:
    """Groups of paths and tiles of channels of a shape, and the lines of its loop over edges."""

    def __init__(
        self, shape: ConvolutionShape, spline: Spline, dtype: torch.dtype, registers: int
    ) -> None:
        self.shape = shape
        self.layout = shape.layout
        self.spline = spline
        self.type = TYPES[dtype]
        self.channels = shape.channels
        self.n_harmonics = (shape.l_max + 1) ** 2
        self.paths = [_path(shape, index) for index in range(len(shape.paths))]
        self.groups = _longest_first(
            [[path for path in self.paths if path.l2 == l2] for l2 in range(shape.l_max + 1)]
        )
        n_rows = sum(path.n_rows for path in self.groups[0])
        while registers > 1 and registers * n_rows > MAX_REGISTERS:
            registers //= 2
        self.tile = tile_of(registers, shape.channels, dtype)
        self.n_tiles = -(-shape.channels // self.tile)
        self.in_tile = "" if shape.channels % self.tile == 0 else "inside"

    def channel_lines(self) -> list[str]:
        """Lines that make the channels `c` of a program."""
        return [
            f"c = tile * {self.tile} + tl.arange(0, {self.tile})",
            f"inside = c < {self.channels}",
        ]

    def over_edges(self, body: list[str]) -> list[str]:
        """Lines of a loop over the edges of an atom, with `body` for each."""
        known = ("edge", "sender", "receiver", "table", "distance")
        turn = [
            *self._fetch("at + 1", "next_"),
            *body,
            *[f"{name} = next_{name}" for name in known],
        ]
        bounds = ["start = tl.load(begin + atom)", "stop = tl.load(begin + atom + 1)"]
        return [*bounds, *self._fetch("start"), "for at in range(start, stop):", *indented(turn, 1)]

    def _fetch(self, at: str, prefix: str = "") -> list[str]:
        """Lines that read an edge's data one turn ahead: four loads, each of which needs the last.

        They are lines, not a Triton function: torch would take the buffers that a function reads
        for buffers that are written to, and copy them.
        """
        mask = "mask=here, other=0"
        return [
            f"here = {at} < stop",
            f"{prefix}edge = tl.load(order + {at}, {mask}).to(tl.int64)",
            f"{prefix}sender = tl.load(edge_index + {prefix}edge, {mask})",
            f"{prefix}receiver = tl.load(edge_index + n_edges + {prefix}edge, {mask})",
            f"pair = tl.load(species + {prefix}sender, {mask}) * n_species + tl.load(species + "
            f"{prefix}receiver, {mask})",
            f"{prefix}table = tl.load(table_of + pair, {mask})",
            f"{prefix}distance = tl.load(r + {prefix}edge, {mask})",
        ]

    def edge(self, harmonics: range) -> list[str]:
        """Lines of one turn before any path: harmonics, spline weights, the row of the table."""
        width = len(self.paths) * self.channels
        return [
            *[
                f"y{b - harmonics[0]} = tl.load(harmonics + edge * {self.n_harmonics} + {b})"
                for b in harmonics
            ],
            *interval(self.spline, self.type),
            f"row = tables + (table * {self.spline.n_rows} + first) * {width} + c",
        ]

    def zeros(self, name: str) -> str:
        """Line that begins a sum over edges."""
        return f"{name} = tl.zeros([{self.tile}], {self.type})"

    def load(self, pointer: str) -> str:
        """Expression that reads a row of channels."""
        return (
            f"tl.load({pointer}, mask=inside, other=0)" if self.in_tile else f"tl.load({pointer})"
        )

    def store(self, pointer: str, value: str) -> str:
        """Line that writes a row of channels."""
        return f"tl.store({pointer}, {value}{', mask=inside' if self.in_tile else ''})"

    def message(self, buffer: str, path: PathCode, m: int, atom: str) -> str:
        """Address of a row of a path's message (`mhff.ops.shapes`)."""
        width = self.layout.paths_to[path.l3] * self.channels
        block = f"n_local * {self.layout.rows_below[path.l3] * self.channels}"
        return (
            f"{buffer} + {block} + {atom} * {(2 * path.l3 + 1) * width} + "
            f"{m * width + path.slot * self.channels} + c"
        )

    def feature(self, buffer: str, component: int, atom: str) -> str:
        """Address of a component of an atom's features."""
        return (
            f"{buffer} + {atom} * {self.shape.n_components * self.channels} + "
            f"{component * self.channels} + c"
        )

    def components(self, group: int) -> list[int]:
        """Components of the features that a group of paths reads."""
        return sorted(
            {path.l1**2 + a for path in self.groups[group] for a in range(2 * path.l1 + 1)}
        )


def _path(shape: ConvolutionShape, index: int) -> PathCode:
    l1, l2, l3 = shape.paths[index]
    couplings = tuple(c._replace(b=c.b - l2**2) for c in shape.couplings(index))
    return PathCode(index, l1, l2, l3, shape.layout.slots[index], couplings)


def _longest_first(groups: list[list[PathCode]]) -> list[list[PathCode]]:
    """Groups of paths, those with most rows first."""
    return sorted(groups, key=lambda group: -sum(path.n_rows for path in group))
