"""A job: one task with one head of one model, and what came of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from mhff import __version__
from mhff.errors import MHFFError
from mhff.files import read_file, write_atomically
from mhff.modelfile import is_model_file, model_path
from mhff_suite.outcome import Outcome, Record

SOURCES = Path(__file__).parent
FINISHED = "finished"
"""Folder of the results of single tasks."""
HeadsOf = dict[str, list[str]]
"""The heads to test of each model."""


@dataclass(frozen=True)
class Job:
    """One task with one head of one model."""

    model: str
    task: str
    head: str
    quick: bool = False
    device: str = "cpu"
    data: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The request to a worker."""
        return asdict(self)


class Done(Record):
    """What came of a job."""

    state: Literal["finished", "left out", "failed"]
    seconds: float = 0.0
    outcome: Outcome | None = None
    why: str = ""
    """Why there is no outcome."""


class Store:
    """The folder with finished results; a result is valid for one model, one suite, one setting."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FINISHED

    def read(self, job: Job) -> Done | None:
        """The result of a job that has been done before."""
        path = self._path(job)
        if not path.is_file():
            return None
        try:
            return Done.model_validate_json(path.read_bytes())
        except ValueError:  # written by another version, or damaged
            return None

    def write(self, job: Job, done: Done) -> None:
        """Keep a finished result; what failed or was left out is tried again by the next run."""
        if done.state == "finished":
            write_atomically(self._path(job), done.model_dump_json(indent=1).encode())

    def _path(self, job: Job) -> Path:
        key = json.dumps([model_hash(job.model), sources_hash(), __version__, job.quick])
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        return self.folder / f"{digest}" / f"{job.task}--{job.head}.json"


@cache
def model_hash(model: str) -> str:
    """Checksum of a model file."""
    return hashlib.sha256(read_file(model_path(model))).hexdigest()


@cache
def sources_hash() -> str:
    """Checksum of this component, so that no result outlives the code that made it."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check_model(model: str) -> None:
    """Raise MHFFError unless this is a model file: a program does not say how far atoms feel."""
    path = model_path(model)
    if not is_model_file(path):
        raise MHFFError(
            f"'{path}' is not a .mhff model file; mhff suite needs the model itself, not a program"
        )


def make_jobs(models: Sequence[str], like: Job, tasks: Sequence[str], heads: HeadsOf) -> list[Job]:
    """All jobs, task by task; `like` has the settings that they share."""
    return [
        Job(model, task, head, like.quick, like.device, like.data)
        for task in tasks
        for model in models
        for head in heads[model]
    ]
