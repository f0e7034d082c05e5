"""The program of a force, as data that can be pickled, and the programs loaded in this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from mhff.errors import MHFFError
from mhff.files import sha256

if TYPE_CHECKING:
    from mhff.evaluator import Evaluator
    from mhff.filekinds import SourceFile

MAX_LOADED = 8
"""Number of programs that a process keeps for forces that are made or copied later."""

_loaded: dict[Program, Evaluator] = {}
"""Loaded programs in order of use, the latest last."""
_loading = threading.Lock()


class Program(NamedTuple):
    """A model or an artefact, and how it runs."""

    source: str
    """Absolute path, or the name of a bundled model."""
    sha256: str
    """Checksum of the file: a System that was saved and read again must run the same model."""
    form: str | None
    """None: the default of a model; an artefact has its own."""
    device: str
    dtype: str
    elements: tuple[str, ...]
    """Elements of the particles."""


def load_program(program: Program, file: SourceFile | None = None) -> Evaluator:
    """The evaluator of a program, shared by all forces of this process.

    Compiles a model if need be. `file` is the source if it has been read already. Raises MHFFError
    if the file is gone or has changed since the force was made.
    """
    with _loading:  # several Contexts may ask at once, and must not compile twice
        evaluator = _loaded.pop(program, None) or _opened(program, file)
        _loaded[program] = evaluator
        while len(_loaded) > MAX_LOADED:
            del _loaded[next(iter(_loaded))]
        return evaluator


def _opened(program: Program, file: SourceFile | None) -> Evaluator:
    from mhff.filekinds import read_source
    from mhff.opening import open_evaluator
    from mhff.options import CompileOptions

    file = file or read_source(program.source)
    if sha256(file.content) != program.sha256:
        raise MHFFError(
            f"'{file.name}' has changed since this OpenMM System was made with it; "
            "restore the file, or make the System again"
        )
    options = CompileOptions.model_validate(
        {"device": program.device, "precision": program.dtype, "form": program.form}
    )
    evaluator = open_evaluator(file, options)
    evaluator.prepare(program.elements)
    return evaluator
