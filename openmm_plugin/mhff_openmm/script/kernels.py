"""The library of kernels inside a script, so that a System can be read where it is not loaded.

TorchScript knows operators by name, and a process must load their library before it reads a script.
A script of ours carries the library, behind the manifest of its program, as numbers in a tensor.
torch stores them unchanged in its archive, and OpenMM stores the archive as hexadecimal digits.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch

from mhff_deploy.artefact.compatibility import check_manifest
from mhff_deploy.artefact.content import Manifest
from mhff_deploy.artefact.programs import load_kernels

MARK = b"mhff kernels\n"
SCRIPT = re.compile(r'encodedFileContents="([0-9a-f]*)"')
"""A script in the XML of a TorchForce."""


def library_as_tensor(library: bytes, manifest: Manifest) -> torch.Tensor:
    """A library of kernels and the manifest of its program as bytes `[n]`."""
    content = MARK + manifest.model_dump_json().encode() + b"\n" + library
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)


def load_libraries(xml: str, name: str | Path) -> None:
    """Load the kernels of all scripts in the XML of a System, which is called `name` in messages.

    Raises MHFFError for kernels that do not run with this torch or on this machine.
    """
    for script in SCRIPT.finditer(xml):
        for manifest, library in _libraries(bytes.fromhex(script[1])):
            check_manifest(manifest, name, None)
            load_kernels(library, manifest.kernels)


def _libraries(script: bytes) -> Iterator[tuple[Manifest, bytes]]:
    """The libraries in the archive of a script."""
    with zipfile.ZipFile(io.BytesIO(script)) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                if stream.read(len(MARK)) == MARK:
                    manifest = Manifest.model_validate_json(stream.readline())
                    yield manifest, stream.read()
