"""A reporter of OpenMM that writes the energy of every head along a trajectory."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import openmm
from openmm import app, unit

from mhff.errors import MHFFError, listing
from mhff.files import check_output, write_atomically
from mhff_openmm.theory.contexts import force_named
from mhff_openmm.theory.samples import HeadEnergies, columns


class HeadEnergyReporter:
    """The energy of each head alone every `interval` steps, from one evaluation per frame.

    The file, CSV, has a line for each frame: its step, its time, the energies, and the weights of
    the heads that drove the dynamics. Lines are written as they come, so a run that is killed loses
    none. `HeadEnergies.read` reads the file; `reweight` takes `samples`.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | None,
        interval: int,
        name: str = "mhff",
        append: bool = False,
    ) -> None:
        """Report to a file, or only to memory if `file` is None.

        Args:
            file: an existing one is replaced at the first report, unless `append` is true.
            interval: number of steps from one report to the next.
            name: name of the mhff force.
            append: keep the frames of an existing file, in memory too, and go on with it. A run
                that continues from a checkpoint makes the later frames again; those in the file
                are replaced.

        Raises:
            MHFFError: for an interval that is not a positive integer, a file that cannot be
                written, and one to append to that has no head energies. The first report refuses a
                force that does not exist, and a file with other heads.
        """
        whole = isinstance(interval, int | np.integer) and not isinstance(interval, bool)
        if not whole or interval < 1:
            raise MHFFError(
                f"expected a positive number of steps between reports, got {interval!r}; give an "
                "integer such as 100"
            )
        self.path = None if file is None else _writable(file)
        self.interval = int(interval)
        self.name = name
        self._heads: tuple[str, ...] = ()
        self._rows: list[list[float]] = []
        self._started = False
        self._out: TextIO | None = None
        if append and self.path is not None and self.path.exists():
            old = HeadEnergies.read(self.path)
            self._heads = old.heads
            self._rows = list(old.rows())

    @property
    def samples(self) -> HeadEnergies:
        """All frames so far."""
        return HeadEnergies.from_rows(self._heads, self._rows)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads, in the order of the columns; empty before the first frame."""
        return self._heads

    @property
    def energies(self) -> np.ndarray:
        """Energy of each head alone in each frame, `[n_frames, n_heads]`, kJ/mol."""
        return self.samples.energies

    def describeNextReport(self, simulation: app.Simulation) -> dict[str, Any]:  # noqa: N802
        """What OpenMM asks before each run of steps: when, and what to prepare."""
        steps = self.interval - simulation.currentStep % self.interval
        # positions as the integrator has them: only a periodic force could take wrapped ones
        return {"steps": steps, "periodic": False, "include": ["positions"]}

    def report(self, simulation: app.Simulation, state: openmm.State) -> None:
        """Add a frame; OpenMM calls this."""
        force = force_named(simulation.context, self.name)
        parameters = force.computation.parameters
        if not self._started:
            self._start(parameters.heads, simulation.currentStep)
        energies = force.head_energies(state)
        time = state.getTime().value_in_unit(unit.picosecond)
        weights = parameters.weights(state.getParameters())
        self._add([simulation.currentStep, time, *energies.tolist(), *weights])

    def _start(self, heads: tuple[str, ...], step: int) -> None:
        """Begin the file at the first frame, after the old frames that come before it."""
        if self._rows:
            self._rows = self._before(heads, step)
        self._heads = heads
        if self.path is not None:
            _write(self.path, heads, self._rows)
            self._out = self.path.open("a", newline="")
        self._started = True

    def _before(self, heads: tuple[str, ...], step: int) -> list[list[float]]:
        """Old frames that come before a step."""
        if self._heads != heads:
            raise MHFFError(
                f"'{self.path}' has the heads {listing(self._heads)}, but the force '{self.name}' "
                f"has {listing(heads)}; report to another file"
            )
        before = [row for row in self._rows if row[0] < step]
        if not before:
            raise MHFFError(
                f"'{self.path}' begins at step {self._rows[0][0]:g}, so that a run at step {step} "
                "would replace all its frames; load the checkpoint that it continues, or report to "
                "another file"
            )
        return before

    def _add(self, row: list[float]) -> None:
        self._rows.append(row)
        if self._out is not None:
            csv.writer(self._out, lineterminator="\n").writerow(row)
            self._out.flush()


def _writable(file: str | os.PathLike[str]) -> Path:
    """The path of a file that can be written; raises MHFFError for any other."""
    if not isinstance(file, str | os.PathLike):
        raise MHFFError(
            f"expected the name of a file to write, got {file!r}; name one such as 'heads.csv', or "
            "give None to keep the frames in memory"
        )
    check_output(file, option="HeadEnergyReporter(file, ...)")
    return Path(file)


def _write(path: Path, heads: tuple[str, ...], rows: Iterable[list[float]]) -> None:
    """Write a whole file, which takes the place of an old one only when it is complete."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns(heads))
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())
