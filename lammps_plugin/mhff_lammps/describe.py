"""`mhff info` of files for LAMMPS: the manifest of the artefact in them. The pickle is taken apart,
not run.
"""

from __future__ import annotations

import hashlib
import pickletools
from pathlib import Path

from mhff.describe import Description
from mhff.errors import MHFFError
from mhff_deploy.describe import describe_content
from mhff_lammps.model import MHFFModel

PICKLE = b"\x80\x04"
"""What a pickle of protocol 4 begins with."""
LONGEST_START = 200
"""Bytes before the artefact in which the name of the class stands."""


def describe_lammps_file(path: Path) -> Description | None:
    """Description of a file of `mhff compile --target lammps`, or None of another; raises MHFFError
    if it is damaged.
    """
    content = path.read_bytes()
    start = content[:LONGEST_START]
    if not start.startswith(PICKLE) or MHFFModel.__module__.encode() not in start:
        return None
    try:
        arguments = [argument for _, argument, _ in pickletools.genops(content)]
        (artefact,) = (argument for argument in arguments if isinstance(argument, bytes))
    except Exception as error:  # a damaged pickle can make pickletools raise anything
        raise MHFFError(f"'{path}' is truncated or damaged ({error}); compile it again") from error
    if hashlib.sha256(artefact).hexdigest() not in arguments:
        raise MHFFError(
            f"'{path}' is damaged: its checksum does not fit its content; compile it again"
        )
    return describe_content(artefact, path)
