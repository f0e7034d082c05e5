"""Which program a force runs, as data that can be pickled, and the programs that this process has
loaded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from mhff.errors import MHFFError
from mhff.files import sha256

if TYPE_CHECKING:
    from mhff.evaluator import Evaluator

LOADED_PROGRAMS = 8
"""How many programs a process keeps loaded for forces that are made or copied later."""


class Program(NamedTuple):
    """A model in the form it runs in, or an artefact (`form` is None), and where it runs."""

    source: str
    """Absolute path, or the name of a bundled model."""
    sha256: str
    """Checksum of the file: a System that was saved and read again must run the same model."""
    form: str | None
    device: str
    dtype: str
    elements: tuple[str, ...] = ()
    """What the particles are; a program for few elements is made where one for all of the model's
    would be too large.
    """


@lru_cache(maxsize=LOADED_PROGRAMS)
def load_program(program: Program) -> Evaluator:
    """The evaluator of a program, shared by all copies of its force in this process.

    Raises MHFFError if the file is gone or has other content than when the force was made.
    """
    from mhff.filekinds import read_source
    from mhff.opening import open_evaluator
    from mhff.options import CompileOptions

    file = read_source(program.source)
    if sha256(file.content) != program.sha256:
        raise MHFFError(
            f"'{file.name}' has changed since this OpenMM System was made with it; "
            "put the old file back, or make the System again"
        )
    options = CompileOptions.model_validate(
        {"device": program.device, "precision": program.dtype, "form": program.form}
    )
    evaluator = open_evaluator(file, options)
    evaluator.prepare(program.elements)
    return evaluator
