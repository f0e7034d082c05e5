"""Triton code of a convolution with radial functions from a table, and of its adjoint.

A program is one warp: it works for one atom, one tile of channels (4 per thread in float32) and the
paths of one harmonic degree l2, and walks along the atom's edges. What belongs to an edge is a
scalar, what belongs to a channel is in registers
(130 of a thread in the forward kernel, 219 in the adjoint: l_max 3, sm_90, nothing spilled), and
threads meet only in sums over channels. Nothing per edge and channel is stored.

Per edge and path a program reads six rows of the table, which is most of what it reads: 10 paths
and 128 channels in float32 make 30 kB per edge, 2.6 MB per atom. From L2 (5 TB/s) that would take
0.5 us per atom, from L1 (128 bytes per clock and multiprocessor) 0.1 us, and the arithmetic takes
0.08 us (counted for an H100, not measured). So programs are ordered by degree l2 first, then tile,
then atom: those that run together read the same part of the table (at most 3 paths, 200 kB in
float32), which L1 can hold as long as there is one table and not one per pair of elements. Paths of
one degree also share a gradient with respect to the harmonics, which no other program has.

The adjoint walks along senders, whose features and gradients stay in registers, and fetches the
gradient of the receivers' messages (20 kB per edge, from L2): that is what limits it. Without a
gradient of the features (in a first layer) it walks along receivers and fetches features, of which
there are fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mhff.ops.gpu.module import JIT, MAX_REGISTERS, TYPES, indented, tile_of
from mhff.ops.gpu.spline import WEIGHTS, interval, names, slopes, taps
from mhff.ops.operators import EDGES, TABLE
from mhff.ops.shapes import ConvolutionShape, Coupling
from mhff.ops.spline import TAPS, Spline

INPUTS = ", ".join([*EDGES, *TABLE])
SIZES = "n_local, n_all, n_edges, n_species"


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


class ConvolutionCode:
    """Code of one shape: functions `forward`, `adjoint` and `adjoint_of_edges`."""

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

    def code(self) -> str:
        """All functions."""
        functions = [self._radial()]
        for kind, body, outputs in (
            ("forward", self._gather, "features, {}, messages"),
            (
                "adjoint",
                self._scatter_along_senders,
                "gradient, features, {}, d_features, d_harmonics, d_r",
            ),
            (
                "adjoint_of_edges",
                self._scatter_along_receivers,
                "gradient, features, {}, d_harmonics, d_r",
            ),
        ):
            arguments = f"{outputs.format(INPUTS)}, {SIZES}"
            for group in range(len(self.groups)):
                functions.append(
                    f"@triton.jit\ndef {kind}_{group}({arguments}, atom, tile):\n"
                    + "\n".join(indented(body(group), 1))
                )
            functions.append(self._dispatch(kind, arguments))
        return WEIGHTS + "\n\n" + "\n\n\n".join(functions) + "\n"

    def _dispatch(self, kind: str, arguments: str) -> str:
        """One kernel for all groups of paths."""
        lines = [f"{n} = tl.cast({n}, tl.int64)" for n in SIZES.split(", ")]
        lines += [
            "atom = tl.program_id(0).to(tl.int64)",
            f"if atom >= {'n_all' if kind == 'adjoint' else 'n_local'}:",
            "    return",
        ]
        lines += ["tile = tl.program_id(1)", "group = tl.program_id(2)"]
        for group in range(len(self.groups)):
            lines += [f"if group == {group}:", f"    {kind}_{group}({arguments}, atom, tile)"]
        return f"{JIT}def {kind}({arguments}):\n" + "\n".join(indented(lines, 1))

    def _radial(self) -> str:
        """Functions that read a table: value, and value and slope; many edges share a row, so it
        had better stay in L1.
        """
        width = len(self.paths) * self.channels
        mask = ", mask=inside, other=0" if self.in_tile else ""
        reads = [
            f't{tap} = tl.load(row + {tap * width}{mask}, eviction_policy="evict_last")'
            for tap in range(TAPS)
        ]
        value = [
            "@triton.jit",
            f"def radial(row, inside, {names('w')}):",
            *indented([*reads, f"return {taps('w')}"], 1),
        ]
        slope = ["@triton.jit", f"def radial_and_slope(row, inside, {names('w')}, {names('v')}):"]
        slope += indented([*reads, f"return {taps('w')}, {taps('v')}"], 1)
        return "\n".join([*value, "", "", *slope])

    def _channels(self) -> list[str]:
        return [
            f"c = tile * {self.tile} + tl.arange(0, {self.tile})",
            f"inside = c < {self.channels}",
        ]

    def _fetch(self, at: str, prefix: str = "") -> list[str]:
        """Lines that read what is known of an edge, in four steps that each need the last: done one
        turn ahead of its use.

        They are lines and not a function of Triton's, because torch takes what a function reads for
        something that is written to where a result is stored, and would copy it.
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

    def _edge(self, harmonics: range) -> list[str]:
        """What one turn of the loop computes of its edge before any path."""
        width = len(self.paths) * self.channels
        return [
            *[
                f"y{b - harmonics[0]} = tl.load(harmonics + edge * {self.n_harmonics} + {b})"
                for b in harmonics
            ],
            *interval(self.spline, self.type),
            f"row = tables + (table * {self.spline.n_rows} + first) * {width} + c",
        ]

    def _loop(self, body: list[str]) -> list[str]:
        """Over the edges of an atom."""
        known = ("edge", "sender", "receiver", "table", "distance")
        turn = [
            *self._fetch("at + 1", "next_"),
            *body,
            *[f"{name} = next_{name}" for name in known],
        ]
        bounds = ["start = tl.load(begin + atom)", "stop = tl.load(begin + atom + 1)"]
        return [*bounds, *self._fetch("start"), "for at in range(start, stop):", *indented(turn, 1)]

    def _zeros(self, name: str) -> str:
        return f"{name} = tl.zeros([{self.tile}], {self.type})"

    def _load(self, pointer: str) -> str:
        return (
            f"tl.load({pointer}, mask=inside, other=0)" if self.in_tile else f"tl.load({pointer})"
        )

    def _store(self, pointer: str, value: str) -> str:
        return f"tl.store({pointer}, {value}{', mask=inside' if self.in_tile else ''})"

    def _message(self, buffer: str, path: PathCode, m: int, atom: str) -> str:
        """Address of a row of a path's message: blocks `[n_local, 2 l3 + 1, paths to l3,
        channels]`.
        """
        width = self.layout.paths_to[path.l3] * self.channels
        block = f"n_local * {self.layout.rows_below[path.l3] * self.channels}"
        return (
            f"{buffer} + {block} + {atom} * {(2 * path.l3 + 1) * width} + "
            f"{m * width + path.slot * self.channels} + c"
        )

    def _feature(self, buffer: str, component: int, atom: str) -> str:
        return (
            f"{buffer} + {atom} * {self.shape.n_components * self.channels} + "
            f"{component * self.channels} + c"
        )

    def _components(self, group: int) -> list[int]:
        return sorted(
            {path.l1**2 + a for path in self.groups[group] for a in range(2 * path.l1 + 1)}
        )

    def _gather(self, group: int) -> list[str]:
        """Messages of a group's paths to one atom: M[m] += sum_a (sum_b CG[b, m, a] Y_b) R h_a."""
        rows = [(path, m) for path in self.groups[group] for m in range(2 * path.l3 + 1)]
        degree = self.groups[group][0].l2
        body = self._edge(range(degree**2, (degree + 1) ** 2))
        body += [
            f"h{i} = {self._load(self._feature('features', i, 'sender'))}"
            for i in self._components(group)
        ]
        for path in self.groups[group]:
            body.append(
                f"radial_{path.index} = radial(row + {path.index * self.channels}, inside, "
                f"{names('w')})"
            )
            for a in range(2 * path.l1 + 1):
                body.append(f"x = radial_{path.index} * h{path.l1**2 + a}")
                for m in range(2 * path.l3 + 1):
                    terms = [
                        f"{coupling.value!r} * y{coupling.b}"
                        for coupling in path.couplings
                        if (coupling.m, coupling.a) == (m, a)
                    ]
                    if terms:
                        body.append(f"s_{path.index}_{m} += ({' + '.join(terms)}) * x")
        lines = [
            *self._channels(),
            *[self._zeros(f"s_{path.index}_{m}") for path, m in rows],
            *self._loop(body),
        ]
        for path, m in rows:
            lines.append(
                self._store(self._message("messages", path, m, "atom"), f"s_{path.index}_{m}")
            )
        return lines

    def _scatter_along_senders(self, group: int) -> list[str]:
        """Gradients of the edges that an atom sends along, and of its features."""
        components = self._components(group)
        lines = [*self._channels(), *[self._zeros(f"d{i}") for i in components]]
        lines += [f"h{i} = {self._load(self._feature('features', i, 'atom'))}" for i in components]
        lines += self._loop(self._scatter(group, along_senders=True))
        lines += [
            f"part = d_features + {group} * n_all * {self.shape.n_components * self.channels}"
        ]
        for i in range(self.shape.n_components):
            value = f"d{i}" if i in components else f"tl.zeros([{self.tile}], {self.type})"
            lines.append(self._store(self._feature("part", i, "atom"), value))
        return lines

    def _scatter_along_receivers(self, group: int) -> list[str]:
        """Gradients of the edges that an atom receives from."""
        gradients = [
            f"m_{path.index}_{m} = {self._load(self._message('gradient', path, m, 'atom'))}"
            for path in self.groups[group]
            for m in range(2 * path.l3 + 1)
        ]
        return [
            *self._channels(),
            *gradients,
            *self._loop(self._scatter(group, along_senders=False)),
        ]

    def _scatter(self, group: int, along_senders: bool) -> list[str]:
        """One step of the adjoint. With dM the gradient of a message, x_a = R h_a and D_ba = sum_m
        CG[b, m, a] dM[m]:

        dY_b = sum_(a, c) D_ba x_a;  dx_a = sum_b Y_b D_ba;  dh_a += R dx_a;  dr = sum_c R' sum_a
        h_a dx_a.
        """
        degree = self.groups[group][0].l2
        harmonics = range(degree**2, (degree + 1) ** 2)
        body = [*self._edge(harmonics), slopes()]
        if not along_senders:
            body += [
                f"h{i} = {self._load(self._feature('features', i, 'sender'))}"
                for i in self._components(group)
            ]
        sums: set[str] = set()
        for path in self.groups[group]:
            body += self._scatter_path(path, along_senders, sums)
        body.append(f"part = ({group * self.n_tiles} + tile) * n_edges + edge")
        body.append(f"tl.store(d_r + part, {self.spline.per_length!r} * tl.sum(d_distance))")
        body.append(f"part = d_harmonics + (tile * n_edges + edge) * {self.n_harmonics}")
        body += [f"tl.store(part + {b}, tl.sum(e{b - harmonics[0]}))" for b in harmonics]
        return body

    def _scatter_path(self, path: PathCode, along_senders: bool, sums: set[str]) -> list[str]:
        lines = [
            f"value, slope = radial_and_slope(row + {path.index * self.channels}, inside, "
            f"{names('w')}, {names('v')})",
        ]
        if along_senders:
            lines += [
                f"m_{path.index}_{m} = {self._load(self._message('gradient', path, m, 'receiver'))}"
                for m in range(2 * path.l3 + 1)
            ]
        for a in range(2 * path.l1 + 1):
            component = path.l1**2 + a
            lines.append(f"x = value * h{component}")
            started = False
            for b in range(2 * path.l2 + 1):
                terms = [
                    f"{coupling.value!r} * m_{path.index}_{coupling.m}"
                    for coupling in path.couplings
                    if (coupling.b, coupling.a) == (b, a)
                ]
                if not terms:
                    continue
                lines.append(f"coupled = {' + '.join(terms)}")
                lines.append(f"dx {'+=' if started else '='} y{b} * coupled")
                lines.append(_add(f"e{b}", "coupled * x", sums))
                started = True
            if along_senders:
                lines.append(f"d{component} += value * dx")
            lines.append(f"of_value {'+=' if a else '='} h{component} * dx")
        return [*lines, _add("d_distance", "slope * of_value", sums)]


def _path(shape: ConvolutionShape, index: int) -> PathCode:
    l1, l2, l3 = shape.paths[index]
    couplings = tuple(c._replace(b=c.b - l2**2) for c in shape.couplings(index))
    return PathCode(index, l1, l2, l3, shape.layout.slots[index], couplings)


def _longest_first(groups: list[list[PathCode]]) -> list[list[PathCode]]:
    """Groups of paths, those with most rows first."""
    return sorted(groups, key=lambda group: -sum(path.n_rows for path in group))


def _add(name: str, value: str, started: set[str]) -> str:
    """Add to a sum, or begin it."""
    operator = "+=" if name in started else "="
    started.add(name)
    return f"{name} {operator} {value}"
