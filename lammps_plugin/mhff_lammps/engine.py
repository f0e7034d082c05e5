"""LAMMPS as an engine of mhff: its compile target, its benchmark, and its kind of file.

A file for LAMMPS is a pickle of one `MHFFModel`, which holds the bytes of a compiled program.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mhff.capabilities import Capabilities
from mhff.engines import Engine, Steps, Target
from mhff.errors import MHFFError
from mhff.evaluator import Evaluator
from mhff.filekinds import Description, SourceFile
from mhff.files import sha256
from mhff.options import CompileOptions, Form
from mhff_deploy.artefact.content import read_manifest

MODULE = "mhff_lammps.model"
"""Module of the class in the pickle."""
PICKLE_PROTOCOL = 4
"""A protocol that every supported Python reads and that stores bytes unchanged."""
PICKLE_START = b"\x80\x04"
"""The first bytes of a pickle of this protocol."""
MAX_BYTES_BEFORE_ARTEFACT = 200
"""The name of the class lies within this many bytes from the start of a file."""
TORCH_SUFFIXES = (".pt", ".pth")
"""File names with these endings make LAMMPS call torch.load, which refuses an ordinary pickle."""


def wrap(artefact: bytes) -> bytes:
    """The content of a file for LAMMPS that holds an artefact."""
    from mhff_lammps.model import MHFFModel

    return pickle.dumps(MHFFModel(artefact), protocol=PICKLE_PROTOCOL)


def check_output(output: str) -> None:
    """Raise MHFFError for a file name that LAMMPS would read with torch.load."""
    name = Path(output).name
    if name.endswith(TORCH_SUFFIXES):
        raise MHFFError(
            "expected a file name that does not end in .pt or .pth, which LAMMPS takes for files "
            f"of torch, got '{name}'; "
            f"give another ending, as -o {Path(output).with_suffix('.mliap')}"
        )


class LammpsFiles:
    """Files for LAMMPS as a kind of file; implements `mhff.filekinds.FileKind`.

    The pickle is parsed, not run.
    """

    name = "LAMMPS files of mhff compile"

    def recognises(self, content: bytes) -> bool:
        """See `FileKind.recognises`."""
        start = content[:MAX_BYTES_BEFORE_ARTEFACT]
        return start.startswith(PICKLE_START) and MODULE.encode() in start

    def capabilities(self, file: SourceFile) -> Capabilities:
        """See `FileKind.capabilities`."""
        return read_manifest(artefact_in(file), file.name).capabilities

    def describe(self, file: SourceFile) -> Description:
        """See `FileKind.describe`."""
        from mhff_deploy.artefact.describe import describe_content

        return describe_content(artefact_in(file), file.path)

    def open(self, file: SourceFile, options: CompileOptions) -> Evaluator:
        """See `FileKind.open`: the program runs outside LAMMPS, too."""
        from mhff_deploy.artefact.runtime import load_artefact

        return load_artefact(artefact_in(file), file.name, options, file=file)


def artefact_in(file: SourceFile) -> bytes:
    """Content of the artefact in a file for LAMMPS; raises MHFFError for a damaged file."""
    try:
        arguments = [argument for _, argument, _ in pickletools.genops(file.content)]
        (artefact,) = (argument for argument in arguments if isinstance(argument, bytes))
    except Exception as error:  # a damaged pickle can make pickletools raise anything
        raise MHFFError(f"'{file.name}' is truncated or damaged ({error}); recompile it") from error
    if sha256(artefact) not in arguments:
        raise MHFFError(
            f"'{file.name}' is damaged: its checksum does not match its content; recompile it"
        )
    return artefact


def bench(options: Mapping[str, Any]) -> Steps:
    """Steps of dynamics in LAMMPS."""
    from mhff_lammps.bench import Lammps

    return Lammps(options)


FILES = LammpsFiles()
LAMMPS = Engine(
    "lammps",
    Target((Form.AOTI, Form.TORCHSCRIPT), wrap, check_output),
    forms=(Form.AOTI, Form.TORCHSCRIPT),
    bench=bench,
)
