"""Who takes part: every combination of the engines, forms, precisions and peers that were asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from mhff.bench.client import OWN, PEER_SCRIPT, Worker
from mhff.bench.engines import MATRIX_PRODUCT, engine_names, find_engine
from mhff.errors import MHFFError, listing
from mhff.evaluator import FORMS, open_evaluator, resolve_dtype
from mhff.modelfile import is_model_file, model_path

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
    peer: bool = False
    computes: bool = True
    """Whether its steps are evaluations of the model."""

    @property
    def engine(self) -> str:
        """What runs it."""
        return str(self.options["engine"])

    @property
    def dtype(self) -> str:
        """Its precision."""
        return str(self.options["dtype"])

    def start(self) -> Worker:
        """A new process with it."""
        return Worker(self.label, self.command, self.options)


@dataclass(frozen=True)
class Choice:
    """What was asked for; raises MHFFError for what does not exist."""

    model: str
    engines: tuple[str, ...] = ("python",)
    forms: tuple[str, ...] = ("aoti",)
    dtypes: tuple[str, ...] = ("float32",)
    head: str | None = None
    threads: int = 1
    against: tuple[str, ...] = ()
    peer_python: Path | None = None
    peer_model: Path | None = None

    def __post_init__(self) -> None:
        for name in self.engines:
            if name not in engine_names():
                raise MHFFError(f"unknown engine '{name}': choose one of {listing(engine_names())}")
        for form in self.forms:
            if form not in FORMS:
                raise MHFFError(f"unknown form '{form}': choose one of {listing(FORMS)}")
        for dtype in self.dtypes:
            resolve_dtype(dtype)
        for peer in self.against:
            if peer not in PEERS:
                raise MHFFError(f"unknown peer '{peer}': choose one of {listing(PEERS)}")
        if self.threads < 1:
            raise MHFFError(f"expected one thread or more, got {self.threads}")


def contenders(choice: Choice) -> list[Contender]:
    """All that take part, the product of matrices that gives the machine's rate among them."""
    own = list(_own(choice))
    dtypes = list(dict.fromkeys(contender.dtype for contender in own if contender.computes)) or list(choice.dtypes)
    rates = [_rate(choice, dtype) for dtype in dtypes]
    return [*own, *_peers(choice, dtypes), *rates]


def _own(choice: Choice) -> Iterator[Contender]:
    path = model_path(choice.model)
    programs: Sequence[tuple[str | None, str]]
    if is_model_file(path):
        programs = [(form, dtype) for form in choice.forms for dtype in choice.dtypes]
    else:  # an artefact has one form and one precision
        programs = [(None, str(open_evaluator(path).dtype).removeprefix("torch."))]
    for name in choice.engines:
        engine = find_engine(name)
        common = {"engine": name, "model": str(path), "head": choice.head, "threads": choice.threads}
        if not engine.forms:
            yield Contender(name, OWN, common | {"form": None, "dtype": programs[0][1]}, computes=False)
            continue
        taken = [program for program in programs if program[0] is None or program[0] in engine.forms]
        if not taken:
            raise MHFFError(
                f"the engine '{name}' runs no program of the form {listing(choice.forms)}: ask for --form {engine.forms[0]}"
            )
        for form, dtype in taken:
            yield Contender(f"{name} {form or 'artefact'} {dtype}", OWN, common | {"form": form, "dtype": dtype})


def _peers(choice: Choice, dtypes: Sequence[str]) -> Iterator[Contender]:
    if not choice.against:
        return
    python = choice.peer_python or PEER_PYTHON
    if not python.is_file():
        raise MHFFError(f"no Python of peers at '{python}': give the one that has them installed with --peer-python PATH")
    if choice.peer_model is None or not choice.peer_model.is_file():
        raise MHFFError(
            f"expected the mace-torch file that the model was imported from, got {choice.peer_model or 'none'}; "
            "give it with --peer-model FILE.model"
        )
    folder = Path(platformdirs.user_cache_dir("mhff")) / "bench"
    common = {
        "model": str(choice.peer_model.resolve()),
        "head": choice.head,
        "threads": choice.threads,
        "folder": str(folder),
    }
    for peer in choice.against:
        for engine in [engine for engine in choice.engines if engine in PEER_ENGINES] or PEER_ENGINES[:1]:
            for dtype in dtypes:
                options = common | {"peer": peer, "engine": engine, "dtype": dtype}
                yield Contender(f"{peer} {engine} {dtype}", (str(python), str(PEER_SCRIPT)), options, peer=True)


def _rate(choice: Choice, dtype: str) -> Contender:
    name = MATRIX_PRODUCT.name
    options = {"engine": name, "model": "", "form": None, "dtype": dtype, "head": None, "threads": choice.threads}
    return Contender(f"{name} {dtype}", OWN, options, computes=False)
