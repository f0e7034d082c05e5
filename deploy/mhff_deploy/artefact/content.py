"""Artefacts: a compiled program and its manifest, in one file.

An artefact is the compiler's own file, a zip archive (AOTInductor's `.pt2`, TorchScript's `.pt`),
with one more member, `mhff.json`: the manifest. It can be read without loading the program. The
libraries of its kernels, one for each level of processors, and its constants are members, too; so
are the radial networks of a program that takes tables of them, and the tables if they are small.
Artefacts are programs: run only those you trust.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mhff.capabilities import Capabilities
from mhff.errors import MHFFError
from mhff.modelfile import Provenance, Units
from mhff.options import CompleteOptions, Form

FORMAT_VERSION = 12
MANIFEST = "extra/mhff.json"
KERNELS = "kernels/{}.so"
"""The library of a level; not under `extra`, which torch reads as text."""
NEW_PROGRAM = "the new program"
"""Stands for the name of a file that is not written yet."""
CONSTANTS = "constants/mhff.safetensors"
RADIAL = "radial/mhff.safetensors"
TABLES = "tables/mhff.safetensors"
MAX_MANIFEST_BYTES = 1 << 24
"""A manifest is a few kB."""
MAX_INFLATION = 50
"""Largest ratio of the size of the members to that of the file.

TorchScript compresses code; nothing compresses weights.
"""


def library_name(namespace: str) -> str:
    """File name of a library of kernels; metatomic sees by the namespace in it what is loaded."""
    return f"{namespace}.so"


class Tables(BaseModel):
    """Tables of radial functions in a program."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: float
    """The error of forces on atoms that was requested, eV/A."""
    measured: float = 0.0
    """The error that was measured, eV/A, relative to max(1, largest)."""
    n_intervals: int = 0
    """0 if the radial networks are kept."""
    are_inputs: bool = False
    """Whether the program takes tables as inputs (`artefact.tables`) or holds them."""
    elements: tuple[str, ...] = ()
    """The elements whose tables were measured when a program that takes tables was compiled."""
    stored: bool = False
    """Whether tables for all elements are in the file; if not, they are made when it runs."""


class Manifest(BaseModel):
    """The description of an artefact: its capabilities, and how it was made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    target: str
    options: CompleteOptions
    """The options of the compilation."""
    capabilities: Capabilities
    """The capabilities of the program."""
    units: Units
    model_sha256: str
    torch_version: str
    mhff_version: str
    kernels: str = ""
    """Namespace of the operators in the program's libraries; empty without one."""
    processor: str = ""
    """Capability of the processor it was compiled on (`compatibility.processor`)."""
    instructions: tuple[str, ...] = ()
    """Instruction sets that a processor must have; those that it may use are its levels'."""
    tables: Tables
    largest_errors: dict[str, float] = {}
    """Errors against the eager float64 model, relative to max(1, largest gradient).

    Node energies are in eV, edge gradients and forces in eV/A.
    """
    provenance: Provenance = {}
    """The model's provenance."""
    program_sha256: str = ""
    """Checksum of the archive's other members and of this manifest without it."""

    @property
    def form(self) -> Form:
        """The form of the program."""
        return self.options.form

    def on(self, device: str) -> Manifest:
        """The manifest of the same program on a device of the same type."""
        able = self.capabilities.model_copy(update={"device": device})
        return self.model_copy(update={"capabilities": able})


def pack(program: bytes, manifest: Manifest, members: Mapping[str, bytes]) -> bytes:
    """Add members (`KERNELS`, `CONSTANTS` ...) and the manifest to a compiled program."""
    stream = io.BytesIO(program)
    for name, content in members.items():
        _add(stream, name, content)
    signed = manifest.model_copy(
        update={"program_sha256": checksum(stream.getvalue(), manifest.model_dump(mode="json"))}
    )
    _add(stream, MANIFEST, signed.model_dump_json(indent=1).encode())
    return stream.getvalue()


def _add(stream: io.BytesIO, name: str, content: bytes) -> None:
    with zipfile.ZipFile(stream, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/{name}", content)


def read_member(content: bytes, member: str) -> bytes:
    """A member beside the manifest, by its name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f"/{member}"))
        return archive.read(name)


def is_artefact(content: bytes) -> bool:
    """Whether a file's content is one of our artefacts, damaged or not."""
    return content[:4] == b"PK\x03\x04" and f"/{MANIFEST}".encode() in content


def read_manifest(content: bytes, name: str | Path) -> Manifest:
    """Manifest of an artefact; raises MHFFError, with `name`, unless the file is whole."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (member,) = (
                info for info in archive.infolist() if info.filename.endswith(f"/{MANIFEST}")
            )
            if member.file_size > MAX_MANIFEST_BYTES:
                raise ValueError(f"a manifest of {member.file_size} bytes")
            fields = json.loads(archive.read(member))
            intact = checksum(content, fields) == fields.get("program_sha256")
    except Exception as error:  # a damaged archive can make zipfile and zlib raise anything
        raise MHFFError(
            f"'{name}' is truncated or not an artefact of mhff ({error}); recompile it"
        ) from error
    if fields.get("format_version") != FORMAT_VERSION:
        raise MHFFError(
            f"'{name}' has artefact format version {fields.get('format_version')}, but this mhff "
            f"reads version {FORMAT_VERSION}; recompile it with this mhff"
        )
    if not intact:
        raise MHFFError(
            f"'{name}' is damaged: its checksum does not match its content; recompile it"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        raise MHFFError(
            f"'{name}' has a manifest that this mhff cannot read; recompile it"
        ) from error


def checksum(content: bytes, manifest: Mapping[str, Any]) -> str:
    """Checksum of a manifest and all other members; ValueError if these are far too large."""
    digest = hashlib.sha256(json.dumps({**manifest, "program_sha256": ""}, sort_keys=True).encode())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(info.file_size for info in archive.infolist())
        if size > MAX_INFLATION * len(content):
            raise ValueError(f"members of {size} bytes in a file of {len(content)}")
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            if not info.filename.endswith(f"/{MANIFEST}"):
                digest.update(f"{info.filename}\n{info.file_size}\n".encode())
                digest.update(archive.read(info))
    return digest.hexdigest()
