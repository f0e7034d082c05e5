"""The file of a model for LAMMPS, from whatever a user gives as the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mhff.capabilities import Capabilities
from mhff.errors import MHFFError
from mhff.filekinds import SourceFile
from mhff.files import read_file
from mhff.modelfile import from_bytes
from mhff.options import CompileOptions
from mhff_deploy.artefact.content import is_artefact
from mhff_deploy.compiling.cache import compiled
from mhff_lammps.filekind import FILES, wrap


def lammps_file(
    file: SourceFile,
    options: CompileOptions,
    used: Sequence[str],
    say: Callable[[str], None],
) -> bytes:
    """Content of a file for LAMMPS: as it is, from an artefact, or compiled now from a model.

    `used` are the elements of the structure. A compiled file has the precision, charge and spin it
    was compiled with; raises MHFFError if `options` require others.
    """
    if file.is_model:
        return wrap(read_file(compiled(from_bytes(file.content, file.name), options, used, say)))
    if options.precision is not None:
        raise MHFFError(
            f"'{file.name}' is compiled already, in its own precision; leave out "
            f"--dtype {options.precision}, or give the model file"
        )
    if FILES.recognises(file.content):
        return file.content
    if is_artefact(file.content):
        return wrap(file.content)
    raise MHFFError(
        f"'{file.name}' is neither a model nor a file of mhff compile --target lammps; give one"
    )


def check_compiled_state(file: SourceFile, can: Capabilities, state: tuple[float, float]) -> None:
    """Raise MHFFError if a compiled file has another charge or multiplicity than the structure."""
    if file.is_model or not can.state_embeddings or state == can.default_state:
        return
    raise MHFFError(
        f"this structure has charge {state[0]:g} and spin multiplicity {state[1]:g}, but "
        f"'{file.name}' was compiled for {can.default_state[0]:g} and {can.default_state[1]:g}; "
        f"compile it with --charge {state[0]:g} --spin {state[1]:g}"
    )
