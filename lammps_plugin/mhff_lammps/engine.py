"""What mhff can do with files for LAMMPS: compile a model to one, and describe one.

A file for LAMMPS is a pickle of one `MHFFModel`, which holds the bytes of a compiled program.
"""

from __future__ import annotations

import pickle
import pickletools
from pathlib import Path

from mhff.describe import Description
from mhff.errors import MHFFError
from mhff.files import sha256
from mhff_deploy.artefact.describe import describe_content
from mhff_deploy.compiling.targets import Target
from mhff_lammps.model import MHFFModel

PICKLE_PROTOCOL = 4
"""Every Python that mhff supports reads it, and it stores bytes unchanged."""
PICKLE_START = b"\x80\x04"
"""The first bytes of a pickle of this protocol."""
MAX_BYTES_BEFORE_ARTEFACT = 200
"""The name of the class stands within this many bytes from the start of a file."""
TORCH_SUFFIXES = (".pt", ".pth")
"""File names with these endings make LAMMPS call torch.load, which refuses an ordinary pickle."""


def wrap(artefact: bytes) -> bytes:
    """The content of a file for LAMMPS that holds an artefact."""
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


def describe_lammps_file(path: Path) -> Description | None:
    """Description of a file for LAMMPS, or None for any other file; the pickle is parsed, not run.

    Raises MHFFError for a damaged file.
    """
    content = path.read_bytes()
    start = content[:MAX_BYTES_BEFORE_ARTEFACT]
    if not start.startswith(PICKLE_START) or MHFFModel.__module__.encode() not in start:
        return None
    try:
        arguments = [argument for _, argument, _ in pickletools.genops(content)]
        (artefact,) = (argument for argument in arguments if isinstance(argument, bytes))
    except Exception as error:  # a damaged pickle can make pickletools raise anything
        raise MHFFError(f"'{path}' is truncated or damaged ({error}); compile it again") from error
    if sha256(artefact) not in arguments:
        raise MHFFError(
            f"'{path}' is damaged: its checksum does not fit its content; compile it again"
        )
    return describe_content(artefact, path)


TARGET = Target("lammps", ("aoti", "torchscript"), wrap=wrap, check_output=check_output)
