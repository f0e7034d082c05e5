"""What an engine offers to mhff: a compile target, a benchmark, a part of the demonstration.

Components contribute engines through the entry-point group `mhff.engines`. The core knows this
protocol, never an engine. Loading an engine must not import the software that it drives; calling
its functions does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mhff.errors import MHFFError, listing
from mhff.options import CompileOptions, Form

if TYPE_CHECKING:
    from ase import Atoms
    from matplotlib.axes import Axes

GROUP = "mhff.engines"


@dataclass(frozen=True)
class Panel:
    """One panel of the demonstration's figure."""

    title: str
    draw: Callable[[Axes], None]


class Steps(Protocol):
    """Steps of a simulation, to be timed."""

    about: dict[str, Any]
    """Versions and settings worth knowing."""

    def prepare(self, system: dict[str, Any]) -> float:
        """Set up a system (numbers, positions in A, cell, pbc); returns its energy, eV, or NaN."""
        ...

    def run(self, n_steps: int) -> float | None:
        """Compute energies and forces of n steps.

        Returns the seconds that they spent in an engine's adapter; None where there is none.
        """
        ...


class AdapterClock:
    """Seconds spent in an adapter, without those in the program that it calls."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def watch(self, adapter: Any, method: str, caller: Any = None) -> None:
        """Time a method of an adapter, or of its caller.

        The adapter's `evaluator` is its program.
        """
        adapter.evaluator = _Timed(adapter.evaluator, "evaluate", self, -1.0)
        outermost = caller or adapter
        setattr(outermost, method, getattr(_Timed(outermost, method, self, 1.0), method))


class _Timed:
    """An object, one method of which is timed."""

    def __init__(self, inner: Any, method: str, clock: AdapterClock, sign: float) -> None:
        self._inner = inner
        call = getattr(inner, method)

        def timed(*arguments: Any) -> Any:
            start = time.perf_counter()
            try:
                return call(*arguments)
            finally:
                clock.seconds += sign * (time.perf_counter() - start)

        setattr(self, method, timed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def unchanged(artefact: bytes) -> bytes:
    """The artefact itself: for engines that load it as it is."""
    return artefact


def nothing_beside(artefact: bytes) -> Mapping[str, bytes]:
    """No files beside the engine's own: for engines that need only one."""
    return {}


def accept_any_name(output: str) -> None:
    """Accept every file name."""


def accept_any_options(options: CompileOptions) -> None:
    """Accept all options that the compiler takes."""


@dataclass(frozen=True)
class Target:
    """The kind of file that `mhff compile --target` makes for an engine."""

    forms: tuple[Form, ...]
    """Forms of the program that the engine takes, the default first."""
    wrap: Callable[[bytes], bytes] = unchanged
    """Turns an artefact into the engine's file."""
    check_output: Callable[[str], None] = accept_any_name
    """Raises MHFFError for a file name that the engine would misread."""
    beside: Callable[[bytes], Mapping[str, bytes]] = nothing_beside
    """Content of further files, from an artefact, by their names in a folder (`folder_beside`)."""
    check_options: Callable[[CompileOptions], None] = accept_any_options
    """Raises MHFFError for what the engine cannot run, and if it is not installed but needed."""


def folder_beside(output: str) -> Path:
    """The folder of the files that an engine needs beside a file of this name."""
    return Path(output).with_suffix(".extensions")


@dataclass(frozen=True)
class Engine:
    """An engine; each part that it does not offer is None."""

    name: str
    target: Target | None = None
    forms: tuple[Form, ...] = ()
    """Forms of programs that its benchmark runs; none if it runs no program."""
    bench: Callable[[Mapping[str, Any]], Steps] | None = None
    """Opens `model` (a path) with `form`, `dtype`, `head` and `threads`."""
    demo: Callable[[Path, Callable[[str], None]], Panel] | None = None
    """Writes files into a folder, reports its results in sentences, and returns a panel of them."""


def atoms_of(system: Mapping[str, Any]) -> Atoms:
    """The system of a benchmark's request as ASE's atoms."""
    from ase import Atoms

    return Atoms(
        numbers=system["numbers"],
        positions=system["positions"],
        cell=system["cell"],
        pbc=system["pbc"],
    )


def engine_names() -> tuple[str, ...]:
    """Names of the engines that are installed; nothing is loaded."""
    return tuple(sorted(entry_points(group=GROUP).names))


def engines() -> dict[str, Engine]:
    """The engines that are installed, by name."""
    found: list[Engine] = [entry.load() for entry in entry_points(group=GROUP)]
    return {engine.name: engine for engine in sorted(found, key=lambda engine: engine.name)}


def target_of(name: str) -> Target:
    """The compile target of an engine; raises MHFFError naming the engines that have one."""
    targets = {engine.name: engine.target for engine in engines().values() if engine.target}
    if name not in targets:
        raise MHFFError(f"unknown target '{name}': choose one of {listing(targets)}")
    return targets[name]
