"""The contenders: every combination of the requested engines, forms, precisions and peers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mhff.devices import resolve_device
from mhff.errors import MHFFError, listing
from mhff.files import cache_folder
from mhff.modelfile import is_model_file, model_path
from mhff.opening import read_capabilities
from mhff.options import Form, Precision, parse_choice
from mhff_bench.engines import MATRIX_PRODUCT, engine_names, find_engine
from mhff_bench.peers import DEFAULT_PYTHON, Peer, find_peer
from mhff_bench.worker import OWN_COMMAND, PEER_SCRIPT, Worker

MIN_STEPS = 50
"""Fewest steps in a block of dynamics whose neighbour list is kept from step to step.

At 0.5 fs and 300 K a list with the usual skin lasts for fewer, so that every block builds some.
"""


@dataclass(frozen=True)
class Contender:
    """One way to evaluate a model."""

    label: str
    command: tuple[str, ...]
    """Command that starts its worker."""
    options: Mapping[str, Any]
    """The options with which its worker opens it."""
    computes: bool = True
    """Whether its steps are evaluations of the model."""
    peer: Peer | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to the worker's environment."""

    @property
    def engine(self) -> str:
        """Name of the engine."""
        return str(self.options["engine"])

    @property
    def threads(self) -> int:
        """Number of threads."""
        return int(self.options["threads"])

    @property
    def dtype(self) -> str:
        """Precision."""
        return str(self.options["dtype"])

    @property
    def min_steps(self) -> int:
        """Fewest steps in a block of its turns."""
        is_dynamics = self.computes and self.engine != "python"
        keeps_list = self.peer is None or self.peer.keeps_list
        return MIN_STEPS if is_dynamics and keeps_list else 1

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "label": self.label,
            "engine": self.engine,
            "form": self.options.get("form"),
            "dtype": self.dtype,
            "threads": self.threads,
            "peer": None if self.peer is None else self.peer.name,
            "settings": None if self.peer is None else self.peer.settings,
            "evaluates": self.computes,
        }

    def start(self) -> Worker:
        """A new process with it."""
        return Worker(self.label, self.command, self.options, self.environment)


@dataclass(frozen=True)
class Choice:
    """The contenders requested; raises MHFFError for those that do not exist."""

    model: str
    engines: tuple[str, ...] = ("python",)
    forms: tuple[str, ...] = ()
    """Forms of a model's programs, aoti if empty; an artefact has its own."""
    dtypes: tuple[str, ...] = ()
    """Precisions of a model's programs, float32 if empty; an artefact has its own."""
    head: str | None = None
    threads: tuple[int, ...] = (1,)
    device: str = "cpu"
    against: tuple[str, ...] = ()
    """Names of peers."""
    peer_python: Path | None = None
    peer_model: Path | None = None

    def __post_init__(self) -> None:
        for name in self.engines:
            if name not in engine_names():
                raise MHFFError(f"unknown engine '{name}': choose one of {listing(engine_names())}")
        for form in self.forms:
            parse_choice(Form, form, "form")
        for dtype in self.dtypes:
            parse_choice(Precision, dtype, "dtype")
        for peer in self.against:
            find_peer(peer)
        resolve_device(self.device)
        if self.against and self.device != "cpu":
            raise MHFFError(
                f"peers run on the CPU, and mhff on {self.device}; leave out --against or --device"
            )
        if min(self.threads) < 1:
            raise MHFFError(f"expected one thread or more, got {min(self.threads)}")


def contenders(choice: Choice) -> list[Contender]:
    """All that take part, and the matrix product that measures the machine's rate."""
    return [
        contender
        for threads in dict.fromkeys(choice.threads)
        for contender in _with_threads(choice, threads)
    ]


def _with_threads(choice: Choice, threads: int) -> Iterator[Contender]:
    own = list(_own(choice, threads))
    dtypes = list(dict.fromkeys(contender.dtype for contender in own))
    yield from own
    yield from _peers(choice, dtypes, threads)
    yield from (_rate(dtype, threads, choice.device) for dtype in dtypes)


def _label(name: str, threads: int) -> str:
    return name if threads == 1 else f"{name}, {threads} threads"


def _own(choice: Choice, threads: int) -> Iterator[Contender]:
    path = model_path(choice.model)
    programs = _programs(choice, path)
    for name in choice.engines:
        engine = find_engine(name)
        common = {
            "engine": name,
            "model": str(path),
            "head": choice.head,
            "threads": threads,
            "device": choice.device,
        }
        if not engine.forms:
            options = common | {"form": None, "dtype": programs[0][1]}
            yield Contender(_label(name, threads), OWN_COMMAND, options, computes=False)
            continue
        taken = [(form, dtype) for form, dtype in programs if form in (None, *engine.forms)]
        if not taken:
            raise MHFFError(
                f"the engine '{name}' runs no program of the form {listing(choice.forms)}: ask for "
                f"--form {engine.forms[0]}"
            )
        for form, dtype in taken:
            label = _label(f"{name} {form or 'artefact'} {dtype}", threads)
            yield Contender(label, OWN_COMMAND, common | {"form": form, "dtype": dtype})


def _programs(choice: Choice, path: Path) -> list[tuple[str | None, str]]:
    """Forms and precisions to measure; the form of an artefact is None."""
    if is_model_file(path):
        return [
            (form, dtype)
            for form in choice.forms or ("aoti",)
            for dtype in choice.dtypes or ("float32",)
        ]
    if choice.forms or choice.dtypes:
        raise MHFFError(
            f"'{path}' is an artefact and has the form and precision that it was compiled in; "
            "leave out --form and --dtype"
        )
    return [(None, str(read_capabilities(path).precision))]


def _peers(choice: Choice, dtypes: Sequence[str], threads: int) -> Iterator[Contender]:
    if not choice.against:
        return
    python, model = _peer_files(choice)
    common = {
        "model": str(model.resolve()),
        "head": choice.head,
        "threads": threads,
        "folder": str(cache_folder() / "bench"),
    }
    for peer in map(find_peer, choice.against):
        title = f"{peer.name} {peer.version(python)}"
        engines = [engine for engine in choice.engines if engine in peer.engines]
        for engine in engines or peer.engines[:1]:
            for dtype in dtypes:
                yield Contender(
                    _label(f"{title} {engine} {dtype}, {peer.settings}", threads),
                    (str(python), str(PEER_SCRIPT)),
                    common
                    | {"peer": peer.package, "mode": peer.mode, "engine": engine, "dtype": dtype},
                    peer=peer,
                    environment=peer.environment,
                )


def _peer_files(choice: Choice) -> tuple[Path, Path]:
    """The peers' interpreter and model file; raises MHFFError for one that is missing."""
    python = choice.peer_python or DEFAULT_PYTHON
    model = choice.peer_model
    if not python.is_file():
        raise MHFFError(
            f"no Python of peers at '{python}': give the one that has them installed with "
            "--peer-python PATH"
        )
    if model is None or not model.is_file():
        raise MHFFError(
            "expected the mace-torch file that the model was imported from, got "
            f"{model or 'none'}; give it with --peer-model FILE.model"
        )
    return python, model


def _rate(dtype: str, threads: int, device: str) -> Contender:
    name = MATRIX_PRODUCT.name
    options = {
        "engine": name,
        "model": "",
        "form": None,
        "dtype": dtype,
        "head": None,
        "threads": threads,
        "device": device,
    }
    return Contender(_label(f"{name} {dtype}", threads), OWN_COMMAND, options, computes=False)
