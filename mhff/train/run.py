"""A training run from settings to model file: prepare, train or resume, report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from mhff import __version__
from mhff.data.batch import Batch
from mhff.data.reference import kinds_differ
from mhff.data.split import Part
from mhff.errors import MHFFError
from mhff.files import alone_in, check_output, kernel_folder, remove_unfinished
from mhff.heads import Head, Heads
from mhff.model.acceleration import use_kernels
from mhff.model.mace import MACE
from mhff.modelfile import Model, assemble
from mhff.train.finetune import prepare_fine_tuning
from mhff.train.fingerprint import Fingerprint, differences, fingerprint
from mhff.train.headdata import HeadData, with_files
from mhff.train.loggers import LOGGERS, check_installed
from mhff.train.lora import merged_weights
from mhff.train.mixture import describe_mixture
from mhff.train.overlap import overlaps
from mhff.train.prepare import prepare_from_scratch
from mhff.train.processes import Processes, connect
from mhff.train.progress import ProgressReport
from mhff.train.recorder import CHECKPOINT, LOG, Recorder, read_checkpoint, read_log
from mhff.train.report.content import Finished, Report
from mhff.train.report.writing import REPORT_FILES, write_report
from mhff.train.sampling import Sampling
from mhff.train.settings import Settings
from mhff.train.start import Start
from mhff.train.trainer import Observer, Trainer


class Run:
    """One training run: its data, its network, its folder."""

    def __init__(self, settings: Settings) -> None:
        """Read the data and build the network; raises MHFFError if either is impossible."""
        check_installed(settings.run.loggers)
        settings = with_files(settings)
        self.settings = settings
        self.folder = settings.run.out
        files = [file for each in settings.sources.values() for file in each.files]
        self.start: Start | None = (
            None if settings.start_from is None else Start(settings.start_from)
        )
        self.check_outputs([*files, *([] if self.start is None else [self.start.path])])
        prepared = (
            prepare_from_scratch(settings)
            if self.start is None
            else prepare_fine_tuning(settings, self.start)
        )
        self.heads: list[HeadData] = prepared.heads
        self.records: tuple[Head, ...] = prepared.records
        self.samples: dict[Part, Sequence[Batch]] = prepared.samples
        self.network: MACE = prepared.network
        self.notes: tuple[str, ...] = (*prepared.notes, *overlaps(self.heads, self.samples))

    @property
    def model_file(self) -> Path:
        """The best model so far."""
        return self.folder / f"{self.settings.name}.mhff"

    def check_outputs(self, inputs: Iterable[Path]) -> None:
        """Raise MHFFError if the run could not write its files, or would overwrite `inputs`."""
        kept = tuple(inputs)
        names = (self.model_file.name, *REPORT_FILES, LOG, CHECKPOINT)
        for name in names:
            check_output(self.folder / name, kept, "run.out")

    def train(self, console: Console, restart: bool = False) -> None:
        """Train from the start, or from the last checkpoint of the same run.

        Raises MHFFError if the folder holds another run, unless `restart`.
        """
        processes = connect(self.settings.run.device)
        try:
            self._train(processes, console, restart)
        finally:
            processes.close()

    def _train(self, processes: Processes, console: Console, restart: bool) -> None:
        self.network.load_state_dict(processes.same(self.network.state_dict()))
        trainer = self.trainer(processes)
        if not processes.is_main:
            trainer.continue_together(None)
            self.use_kernels()
            trainer.fit([])
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone_in(self.folder, "run.out"):
            trainer.continue_together(self._begin(console, restart))
            trainer.fit(self._observers(console))

    def trainer(self, processes: Processes) -> Trainer:
        """The training loop at its start."""
        train = self.samples["train"]
        valid = self.samples["valid"]
        return Trainer(self.network, self.settings, self.sampling, train, valid, processes)

    @property
    def sampling(self) -> Sampling:
        """How often an epoch sees the training structures of each head."""
        return Sampling(
            [len(head.parts["train"]) for head in self.heads],
            [head.settings.repeats for head in self.heads],
            self.settings.run.sampling_temperature,
            self.settings.run.seed,
        )

    def _begin(self, console: Console, restart: bool) -> dict[str, Any] | None:
        """Tell the user what is to happen; returns the state to continue from."""
        remove_unfinished(self.folder)
        checkpoint = self.folder / CHECKPOINT
        if restart:
            checkpoint.unlink(missing_ok=True)
        for line in (*self.continuation(), *self.summary(), self.use_kernels()):
            console.print(line, soft_wrap=True, highlight=False, markup=False)
        return read_checkpoint(checkpoint).state if checkpoint.is_file() else None

    def _observers(self, console: Console) -> list[Observer]:
        """What reports on the run and writes its files."""
        fingerprint = self.fingerprint()
        recorder = Recorder(self.folder, fingerprint, self._save_best)
        loggers = [LOGGERS[name](self.settings, fingerprint) for name in self.settings.run.loggers]
        return [*loggers, ProgressReport(console), recorder]  # a logger may refuse to start

    def summary(self) -> list[str]:
        """Lines for the user about the data of each head, and about labels that are not used."""
        lines = [line for head in self.heads for line in head.summary(self.network.config)]
        lines += describe_mixture(self.heads, self.sampling)
        lines += self.notes
        lines += kinds_differ({head.name: head.e0s_kind for head in self.records})
        if not self.samples["valid"]:
            lines.append("no structures to validate with: the latest model is kept, not the best")
        return lines

    def use_kernels(self) -> str:
        """Let the network run in kernels if possible; returns a line for the user."""
        device = torch.device(self.settings.run.device)
        reason = (
            use_kernels(self.network, device, kernel_folder())
            if self.settings.run.kernels
            else "as asked"
        )
        return (
            f"the network runs in plain torch, {reason}"
            if reason
            else "the network runs in kernels made for this model"
        )

    def fingerprint(self) -> Fingerprint:
        """What decides the result: see `mhff.train.fingerprint`."""
        checksums = {head.name: head.checksums for head in self.heads}
        start = None if self.start is None else self.start.checksum
        return fingerprint(self.settings, checksums, start)

    def continuation(self) -> list[str]:
        """A line about the checkpoint to continue from, if there is one.

        Raises MHFFError if it is another run's.
        """
        checkpoint = self.folder / CHECKPOINT
        if not checkpoint.is_file():
            return []
        stored = read_checkpoint(checkpoint)
        changed = differences(stored.fingerprint, self.fingerprint())
        if changed:
            raise MHFFError(
                f"'{self.folder}' holds another run ({'; '.join(changed)}): restore the "
                "configuration, choose another run.out, or start anew with --restart"
            )
        if stored.is_finished(self.settings.run):
            return [f"the run in {self.folder} is finished; --restart starts it anew"]
        steps = f" and {stored.n_steps} steps" if stored.n_steps else ""
        return [
            f"continuing from {checkpoint}, which has {stored.n_epochs} of "
            f"{self.settings.run.epochs} epochs{steps}"
        ]

    def model(self) -> Model:
        """The network as it is, as a model; low-rank changes are merged into its weights."""
        network = self.network
        weights = merged_weights(network)
        heads = Heads(self.records)
        return assemble(network.config, network.constants, weights, heads, self.provenance())

    def provenance(self) -> dict[str, Any]:
        """Record of the model's origin."""
        own = {
            "made_by": f"mhff train (mhff {__version__}, torch {torch.__version__})",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "settings": self.fingerprint(),
        }
        return own if self.start is None else {**own, "ancestors": self.start.lineage()}

    def _save_best(self) -> None:
        self.model().save(self.model_file)

    def report(self) -> Report:
        """The report on the best model; also written, as `mhff.train.report` says."""
        finished = Finished(
            self.settings,
            self.samples,
            history=read_log(self.folder / LOG),
            notes=self.summary(),
            start=None if self.start is None else self.start.model,
        )
        return write_report(finished, self.model_file)
