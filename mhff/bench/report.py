"""What a benchmark found: as JSON, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from mhff.bench.contenders import Contender
from mhff.bench.count import Count, floor
from mhff.bench.engines import MATRIX_PRODUCT
from mhff.bench.statistics import Spread, ratio, spread

FORMAT_VERSION = 1
MICROSECONDS = 1e6


@dataclass
class Point:
    """One contender at one size."""

    n_atoms: int
    contender: Contender
    energy: float
    """eV."""
    n_steps: int
    """Of a block."""
    wall: list[float]
    """Seconds per step, for each round."""
    cpu: list[float]
    """Processor seconds per step of all threads, for each round."""
    memory: dict[str, int] | None = None
    """See `mhff.bench.measure.peak_memory`."""

    @property
    def seconds(self) -> Spread:
        """Per step."""
        return spread(self.wall)

    @property
    def per_atom(self) -> Spread:
        """Microseconds."""
        return Spread(*(MICROSECONDS * value / self.n_atoms for value in self.seconds))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "atoms": self.n_atoms,
            "contender": self.contender.label,
            "energy_eV": self.energy,
            "steps_of_a_block": self.n_steps,
            "seconds_per_step": self.wall,
            "processor_seconds_per_step": self.cpu,
            "microseconds_per_atom": self.per_atom._asdict(),
            "memory_bytes": self.memory,
        }


@dataclass(frozen=True)
class Floor:
    """What one size must cost at least."""

    n_atoms: int
    dtype: str
    count: Count
    rates: list[float]
    """Multiply-adds per second of a large matrix product, for each round."""

    @property
    def seconds(self) -> list[float]:
        """Per step, for each round."""
        return [self.n_atoms * floor(self.count, rate) for rate in self.rates]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "atoms": self.n_atoms,
            "dtype": self.dtype,
            "multiply_adds_per_atom": self.count.__dict__ | {"total": self.count.total},
            "multiply_adds_per_second": spread(self.rates)._asdict(),
            "microseconds_per_atom": MICROSECONDS * spread(self.seconds).median / self.n_atoms,
        }


@dataclass
class Report:
    """Everything."""

    model: str
    system: str
    head: str | None
    threads: int
    date: str
    machine: dict[str, object]
    versions: dict[str, str]
    about: dict[str, dict[str, Any]]
    neighbours: dict[int, float]
    points: list[Point]
    floors: list[Floor]

    def ratios(self) -> Iterator[tuple[int, str, str, Spread]]:
        """Size, peer, contender, and how many times as long the peer took: same size, precision and engine."""
        for peer in self.points:
            for own in self.points:
                if peer.contender.peer and not own.contender.peer and own.contender.computes and _alike(peer, own):
                    yield own.n_atoms, peer.contender.label, own.contender.label, ratio(peer.wall, own.wall)

    def times_floor(self, point: Point) -> Spread | None:
        """How many times as long as the counted multiply-adds a point took, round by round."""
        for found in self.floors:
            if point.contender.computes and (found.n_atoms, found.dtype) == (point.n_atoms, point.contender.dtype):
                return ratio(point.wall, found.seconds)
        return None

    def as_dict(self) -> dict[str, Any]:
        """One JSON object."""
        points = [
            point.as_dict() | {"times_floor": None if (times := self.times_floor(point)) is None else times._asdict()}
            for point in self.points
        ]
        described = [{"label": label} | about for label, about in self.about.items()]
        plain = ("model", "system", "head", "threads", "date", "machine", "versions")
        return {
            "format_version": FORMAT_VERSION,
            **{name: getattr(self, name) for name in plain},
            "contenders": described,
            "neighbours_per_atom": {str(n_atoms): value for n_atoms, value in self.neighbours.items()},
            "points": points,
            "ratios": [
                {"atoms": n_atoms, "of": of, "to": to, **value._asdict()} for n_atoms, of, to, value in self.ratios()
            ],
            "floors": [found.as_dict() for found in self.floors],
        }

    def rows(self) -> list[list[str]]:
        """Of the table: a row for each point that evaluates the model or its neighbour list."""
        return [_row(self, point) for point in self.points if point.contender.engine != MATRIX_PRODUCT.name]

    def table(self) -> Table:
        """For the terminal."""
        table = Table(title=self.title, box=box.SIMPLE_HEAD, title_justify="left")
        for name in self.header():
            left = name == "contender"
            table.add_column(name, justify="left" if left else "right", no_wrap=left)
        for row in self.rows():
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a document."""
        lines = [self.header(), ["---:" if name != "contender" else "---" for name in self.header()], *self.rows()]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"

    @property
    def title(self) -> str:
        """What was measured."""
        return f"{Path(self.model).stem}, {self.system}, {self.threads} thread{'s' if self.threads > 1 else ''}"

    def peers(self) -> list[str]:
        """Names of the peers that took part."""
        return list(dict.fromkeys(str(point.contender.options["peer"]) for point in self.points if point.contender.peer))

    def header(self) -> list[str]:
        """Of the table; a peer's column says how many times as long it took."""
        return ["atoms", "contender", "us/atom", "+-", "kB/atom", "floors", *(f"{peer} takes" for peer in self.peers())]


def _alike(peer: Point, own: Point) -> bool:
    names = ("dtype", "engine")
    same = all(getattr(peer.contender, name) == getattr(own.contender, name) for name in names)
    return same and peer.n_atoms == own.n_atoms


def _row(report: Report, point: Point) -> list[str]:
    time, times = point.per_atom, report.times_floor(point)
    here = (point.n_atoms, point.contender.label)
    against = {of.split()[0]: f"{value.median:.3g} x" for n_atoms, of, to, value in report.ratios() if (n_atoms, to) == here}
    return [
        str(point.n_atoms),
        point.contender.label,
        f"{time.median:.4g}",
        f"{100 * time.relative:.0f} %",
        "" if point.memory is None else f"{point.memory['more'] / 1e3 / point.n_atoms:.0f}",
        "" if times is None else f"{times.median:.2f}",
        *(against.get(peer, "") for peer in report.peers()),
    ]
