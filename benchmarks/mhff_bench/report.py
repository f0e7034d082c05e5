"""Results of a benchmark as one JSON object, from which tables and figures are made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mhff_bench.contenders import Contender
from mhff_bench.count import Count, floor
from mhff_bench.statistics import Spread, ratio, spread

FORMAT_VERSION = 2
MICROSECONDS = 1e6


@dataclass
class Point:
    """One contender at one size."""

    n_atoms: int
    contender: Contender
    energy: float
    """eV."""
    n_steps: int
    """Steps in a block."""
    wall: list[float]
    """Seconds per step, one for each round."""
    cpu: list[float]
    """Processor seconds per step of all threads, one for each round."""
    adapter: list[float] = field(default_factory=list)
    """Seconds per step in the engine's adapter, one for each round; none without one."""
    memory: dict[str, int] | None = None
    """See `mhff_bench.memory.peak_memory`."""

    @property
    def seconds(self) -> Spread:
        """Median and quartiles per step."""
        return spread(self.wall)

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        per_atom = Spread(*(MICROSECONDS * value / self.n_atoms for value in self.seconds))
        return {
            "atoms": self.n_atoms,
            "contender": self.contender.label,
            "energy_eV": self.energy if self.contender.computes else None,
            "steps_of_a_block": self.n_steps,
            "seconds_per_step": self.wall,
            "processor_seconds_per_step": self.cpu,
            **({"adapter_seconds_per_step": self.adapter} if self.adapter else {}),
            "microseconds_per_atom": per_atom._asdict(),
            "memory_bytes": self.memory,
        }


@dataclass(frozen=True)
class Floor:
    """Time that the counted multiply-adds of one size take at the rate of a matrix product."""

    n_atoms: int
    dtype: str
    threads: int
    count: Count
    rates: list[float]
    """Multiply-adds per second of a large matrix product, for each round."""

    @property
    def seconds(self) -> list[float]:
        """Per step, for each round."""
        return [self.n_atoms * floor(self.count, rate) for rate in self.rates]

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "atoms": self.n_atoms,
            "dtype": self.dtype,
            "threads": self.threads,
            "multiply_adds_per_atom": self.count.__dict__ | {"total": self.count.total},
            "multiply_adds_per_second": spread(self.rates)._asdict(),
            "microseconds_per_atom": MICROSECONDS * spread(self.seconds).median / self.n_atoms,
        }


@dataclass
class Report:
    """Everything that was measured."""

    model: str
    system: str
    head: str | None
    date: str
    machine: dict[str, object]
    versions: dict[str, str]
    contenders: list[tuple[Contender, dict[str, Any]]]
    """Each with its worker's description of itself."""
    neighbours: dict[int, float]
    """Edges per atom, by the number of atoms."""
    points: list[Point]
    floors: list[Floor]

    def ratios(self) -> Iterator[tuple[Point, Point, Spread]]:
        """Comparable pairs of peer and our contender, with the ratio of their times."""
        for peer in self.points:
            for own in self.points:
                if _comparable(peer, own):
                    yield peer, own, ratio(peer.wall, own.wall)

    def times_floor(self, point: Point) -> Spread | None:
        """Time of a point in units of the floor, from ratios within rounds."""
        own = (point.n_atoms, point.contender.dtype, point.contender.threads)
        for found in self.floors:
            if point.contender.computes and (found.n_atoms, found.dtype, found.threads) == own:
                return ratio(point.wall, found.seconds)
        return None

    def as_dict(self) -> dict[str, Any]:
        """One JSON object."""
        times = [self.times_floor(point) for point in self.points]
        plain = ("model", "system", "head", "date", "machine", "versions")
        return {
            "format_version": FORMAT_VERSION,
            **{name: getattr(self, name) for name in plain},
            "contenders": [
                contender.as_dict() | {"about": about} for contender, about in self.contenders
            ],
            "neighbours_per_atom": {
                str(n_atoms): value for n_atoms, value in self.neighbours.items()
            },
            "points": [
                point.as_dict() | {"times_floor": None if value is None else value._asdict()}
                for point, value in zip(self.points, times, strict=True)
            ],
            "ratios": [
                {
                    "atoms": own.n_atoms,
                    "of": peer.contender.label,
                    "to": own.contender.label,
                    **value._asdict(),
                }
                for peer, own, value in self.ratios()
            ],
            "floors": [found.as_dict() for found in self.floors],
        }


def _comparable(peer: Point, own: Point) -> bool:
    """Whether a peer and one of ours computed the same under the same conditions."""
    if peer.contender.peer is None or own.contender.peer is not None or not own.contender.computes:
        return False
    same = all(
        getattr(peer.contender, name) == getattr(own.contender, name)
        for name in ("dtype", "engine", "threads")
    )
    return same and peer.n_atoms == own.n_atoms
