"""Files for LAMMPS as a kind of file: a pickle of one `MHFFModel`, which holds an artefact."""

from __future__ import annotations

import pickle
import pickletools

from mhff.capabilities import Capabilities
from mhff.errors import MHFFError
from mhff.evaluator import Evaluator
from mhff.filekinds import Description, SourceFile
from mhff.files import sha256
from mhff.options import CompileOptions
from mhff_deploy.artefact.content import read_manifest

MODULE = "mhff_lammps.model"
"""Module of the class in the pickle."""
PICKLE_PROTOCOL = 4
"""A protocol that every supported Python reads and that stores bytes unchanged."""
PICKLE_START = b"\x80\x04"
"""The first bytes of a pickle of this protocol."""
MAX_BYTES_BEFORE_ARTEFACT = 200
"""The name of the class lies within this many bytes from the start of a file."""


def wrap(artefact: bytes) -> bytes:
    """The content of a file for LAMMPS that holds an artefact."""
    from mhff_lammps.model import MHFFModel

    return pickle.dumps(MHFFModel(artefact), protocol=PICKLE_PROTOCOL)


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


FILES = LammpsFiles()
