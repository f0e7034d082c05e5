"""`mhff lammps-input`: a structure becomes an input script, a data file and a model for LAMMPS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ase import Atoms

    from mhff.capabilities import Capabilities
    from mhff.filekinds import SourceFile
    from mhff_lammps.inputs.content import Content


def lammps_input(
    structure: Annotated[
        str,
        typer.Argument(help="Structure in any format that ASE reads; the last one of a file."),
    ],
    model: Annotated[
        str, typer.Option(help="Model file, mini, or a file of mhff compile --target lammps.")
    ] = "mini",
    head: Annotated[
        str | None, typer.Option(help="Head of all atoms; the beginning of its name is enough.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")] = Path(
        "lammps"
    ),
    file_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="ASE's name of the structure's format, where ASE cannot tell."
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="float32 or float64, for models; compiled files have their own."),
    ] = None,
) -> None:
    """Write a folder that LAMMPS runs: input script, data file and compiled model."""
    from mhff.filekinds import read_source
    from mhff.opening import read_capabilities
    from mhff_lammps.inputs.content import content_of
    from mhff_lammps.inputs.text import SCRIPT

    file = read_source(model)
    can = read_capabilities(file)
    check_folder(output)
    atoms = read_structure(structure, file_format)
    content = content_of(atoms, can, _chosen(can, head))
    program = _program(file, can, atoms, dtype)
    _write(output, content, Path(structure).name, program)
    labels = ", ".join(f"{number} {kind.label}" for number, kind in enumerate(content.types, 1))
    for note in content.notes:
        typer.echo(f"note: {note}", err=True)
    typer.echo(f"{len(atoms)} atoms, types {labels}; model {file.name}")
    typer.echo(f"wrote {output}; run it there with: lmp -in {SCRIPT}")


def _chosen(can: Capabilities, head: str | None) -> str | None:
    """The full name of the head or mix that is asked for, or the compiled default."""
    if head is None:
        return can.default_head
    return head if head in can.head_names else can.heads.complete(head)


def read_structure(name: str, file_format: str | None = None) -> Atoms:
    """The last structure of a file; MHFFError for what ASE does not read."""
    import ase.io
    from ase import Atoms

    from mhff.errors import MHFFError, printable

    if not Path(name).is_file() and not Path(name.rpartition("@")[0]).is_file():
        raise MHFFError(f"no file '{name}': give a structure in a format that ASE reads")
    try:
        atoms = ase.io.read(name, format=file_format)
    except Exception as error:  # each format fails in its own way
        reason = printable(" ".join(str(error).split())) or type(error).__name__
        raise MHFFError(
            f"ASE cannot read a structure from '{name}' ({reason}); give a file in one of its "
            "formats, and name the format with --format if ASE cannot tell"
        ) from error
    if not isinstance(atoms, Atoms):
        raise MHFFError(f"expected one structure, got all of '{name}'; name one as FILE@NUMBER")
    return atoms


def check_folder(output: Path) -> None:
    """Raise MHFFError, before any work is done, if the folder cannot take the files.

    A script that is there may have been edited, so it is never replaced.
    """
    from mhff.errors import MHFFError
    from mhff.files import check_output
    from mhff_lammps.inputs.text import DATA, MODEL, SCRIPT

    for name in (SCRIPT, DATA, MODEL):
        check_output(output / name)
        if (output / name).exists():
            raise MHFFError(
                f"'{output / name}' exists and may hold your changes; remove it, or name another "
                "folder with -o"
            )


def _program(file: SourceFile, can: Capabilities, atoms: Atoms, dtype: str | None) -> bytes:
    """Content of the model's file for LAMMPS, for the structure's charge and multiplicity."""
    from rich.console import Console

    from mhff.options import CompileOptions
    from mhff.state import state_of
    from mhff_lammps.inputs.model import check_compiled_state, lammps_file

    state = state_of(atoms, can.state_embeddings, can.default_state)
    check_compiled_state(file, can, state)
    asked = CompileOptions.model_validate({"precision": dtype})
    if can.state_embeddings and state != can.default_state:
        asked = asked.but(charge=state[0], spin=state[1])
    with Console(stderr=True).status("reading the model") as status:
        return lammps_file(file, asked, sorted(set(atoms.symbols)), status.update)


def _write(output: Path, content: Content, source: str, program: bytes) -> None:
    from mhff.files import write_atomically
    from mhff_lammps.inputs.text import DATA, MODEL, SCRIPT, data_file, script

    write_atomically(output / MODEL, program)
    write_atomically(output / DATA, data_file(content, source).encode())
    write_atomically(output / SCRIPT, script(content, source).encode())
