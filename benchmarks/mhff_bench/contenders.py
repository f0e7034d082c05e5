"""Who takes part: every combination of the engines, forms, precisions and peers that were asked
for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mhff.errors import MHFFError, listing
from mhff.files import cache_folder
from mhff.modelfile import is_model_file, model_path
from mhff.opening import read_capabilities
from mhff.options import Form, Precision, parse_choice
from mhff_bench.engines import MATRIX_PRODUCT, engine_names, find_engine
from mhff_bench.worker import OWN, PEER_SCRIPT, Worker

PEERS = ("mace-torch", "symmetrix-xl")
PEER_ENGINES = ("python", "ase")
PEER_PYTHON = Path(".venv-peer") / "bin" / "python"
"""Where a checkout has mace-torch (`make peer`)."""


@dataclass(frozen=True)
class Contender:
    """One that is measured."""

    label: str
    command: tuple[str, ...]
    """That starts its worker."""
    options: dict[str, Any]
    computes: bool = True
    """Whether its steps are evaluations of the model."""

    @property
    def engine(self) -> str:
        """What runs it."""
        return str(self.options["engine"])

    @property
    def threads(self) -> int:
        """How many it has."""
        return int(self.options["threads"])

    @property
    def dtype(self) -> str:
        """Its precision."""
        return str(self.options["dtype"])

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = {
            "engine": self.engine,
            "form": self.options.get("form"),
            "dtype": self.dtype,
            "threads": self.threads,
        }
        return {
            "label": self.label,
            **names,
            "peer": self.options.get("peer"),
            "evaluates": self.computes,
        }

    @property
    def peer(self) -> bool:
        """Whether it is somebody else's."""
        return "peer" in self.options

    def start(self) -> Worker:
        """A new process with it."""
        return Worker(self.label, self.command, self.options)


@dataclass(frozen=True)
class Choice:
    """What was asked for; raises MHFFError for what does not exist."""

    model: str
    engines: tuple[str, ...] = ("python",)
    forms: tuple[str, ...] = ()
    """Of a model: none means aoti. An artefact has its own."""
    dtypes: tuple[str, ...] = ()
    """Of a model: none means float32. An artefact has its own."""
    head: str | None = None
    threads: tuple[int, ...] = (1,)
    against: tuple[str, ...] = ()
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
            if peer not in PEERS:
                raise MHFFError(f"unknown peer '{peer}': choose one of {listing(PEERS)}")
        if min(self.threads) < 1:
            raise MHFFError(f"expected one thread or more, got {min(self.threads)}")


def contenders(choice: Choice) -> list[Contender]:
    """All that take part, the product of matrices that gives the machine's rate among them."""
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
    yield from (_rate(dtype, threads) for dtype in dtypes)


def _label(name: str, threads: int) -> str:
    return name if threads == 1 else f"{name}, {threads} threads"


def _own(choice: Choice, threads: int) -> Iterator[Contender]:
    path = model_path(choice.model)
    programs = _programs(choice, path)
    for name in choice.engines:
        engine = find_engine(name)
        common = {"engine": name, "model": str(path), "head": choice.head, "threads": threads}
        if not engine.forms:
            yield Contender(
                _label(name, threads),
                OWN,
                common | {"form": None, "dtype": programs[0][1]},
                computes=False,
            )
            continue
        taken = [
            program for program in programs if program[0] is None or program[0] in engine.forms
        ]
        if not taken:
            raise MHFFError(
                f"the engine '{name}' runs no program of the form {listing(choice.forms)}: ask for "
                f"--form {engine.forms[0]}"
            )
        for form, dtype in taken:
            label = _label(f"{name} {form or 'artefact'} {dtype}", threads)
            yield Contender(label, OWN, common | {"form": form, "dtype": dtype})


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
    python = choice.peer_python or PEER_PYTHON
    if not python.is_file():
        raise MHFFError(
            f"no Python of peers at '{python}': give the one that has them installed with "
            "--peer-python PATH"
        )
    if choice.peer_model is None or not choice.peer_model.is_file():
        raise MHFFError(
            "expected the mace-torch file that the model was imported from, got "
            f"{choice.peer_model or 'none'}; "
            "give it with --peer-model FILE.model"
        )
    folder = cache_folder() / "bench"
    common = {
        "model": str(choice.peer_model.resolve()),
        "head": choice.head,
        "threads": threads,
        "folder": str(folder),
    }
    for peer in choice.against:
        for engine in [
            engine for engine in choice.engines if engine in PEER_ENGINES
        ] or PEER_ENGINES[:1]:
            for dtype in dtypes:
                options = common | {"peer": peer, "engine": engine, "dtype": dtype}
                label = _label(f"{peer} {engine} {dtype}", threads)
                yield Contender(label, (str(python), str(PEER_SCRIPT)), options)


def _rate(dtype: str, threads: int) -> Contender:
    name = MATRIX_PRODUCT.name
    options = {
        "engine": name,
        "model": "",
        "form": None,
        "dtype": dtype,
        "head": None,
        "threads": threads,
    }
    return Contender(_label(f"{name} {dtype}", threads), OWN, options, computes=False)
