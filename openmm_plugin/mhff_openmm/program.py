"""Which program a force runs, as data that can be pickled, and the programs that this process has
loaded.
"""

from __future__ import annotations

import logging
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from mhff.errors import MHFFError
from mhff.files import read_file, sha256

if TYPE_CHECKING:
    from mhff.evaluator import Evaluator

logger = logging.getLogger(__name__)

Form = Literal["aoti", "torchscript", "eager"]
LOADED_PROGRAMS = 8
"""How many programs a process keeps loaded for forces that are made or copied later."""


class Program(NamedTuple):
    """A model in the form it runs in, or an artefact (`form` is None), and where it runs."""

    source: str
    """Absolute path, or the name of a bundled model."""
    sha256: str
    """Checksum of the file: a System that was saved and read again must run the same model."""
    form: Form | None
    device: str
    dtype: str
    elements: tuple[str, ...] = ()
    """What the particles are; a program for few elements is made where one for all of the model's
    would be too large.
    """


def checksum(path: Path) -> str:
    """SHA-256 of a file's content."""
    return sha256(read_file(path))


@lru_cache(maxsize=LOADED_PROGRAMS)
def load_program(program: Program) -> Evaluator:
    """The evaluator of a program, shared by all copies of its force in this process.

    Raises MHFFError if the file is gone or has other content than when the force was made.
    """
    from mhff.modelfile import model_path

    path = model_path(program.source)
    if checksum(path) != program.sha256:
        raise MHFFError(
            f"'{path}' has changed since this OpenMM System was made with it; "
            "put the old file back, or make the System again"
        )
    return _evaluator(path, program)


def _evaluator(path: Path, program: Program) -> Evaluator:
    from mhff.evaluator import open_evaluator

    if program.form in ("aoti", "torchscript"):
        from mhff_deploy.compiling.cache import compiled

        path = compiled(
            path,
            program.device,
            program.dtype,
            program.form,
            elements=program.elements,
            progress=partial(_tell, path),
        )
    return open_evaluator(path, program.device, program.dtype)


def _tell(path: Path, step: str) -> None:
    """Say what takes so long; a program that is in the cache says nothing."""
    logger.warning("mhff compiles '%s', once and for all later runs: %s", path.name, step)
