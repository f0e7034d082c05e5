"""Artefacts: a compiled program and what it is, in one file.

An artefact is the compiler's own file, a zip archive (AOTInductor's `.pt2`, TorchScript's `.pt`),
with one more member, `mhff.json`: the manifest. It can be read without loading the program. The
library of its kernels and, beside AOTInductor's package, its constants are members, too. Artefacts
are programs: run only those you trust.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mhff.errors import MHFFError
from mhff.heads import Head
from mhff.model.config import StateEmbedding
from mhff.model.state import DEFAULT_STATE

FORMAT_VERSION = 5
MEMBER = "extra/mhff.json"
KERNELS = "kernels/mhff_kernels.so"
"""Not under `extra`, which torch reads as text."""
CONSTANTS = "constants/mhff.safetensors"
LONGEST_MANIFEST = 1 << 24
"""Bytes; a manifest is a few kB."""
MOST_INFLATED = 50
"""How many times larger than a file its members may be; TorchScript compresses code, nothing
compresses weights.
"""

Form = Literal["aoti", "torchscript"]
NATIVE = "native"
ISAS = (NATIVE, "x86-64-v3")
"""Instruction sets that programs for CPUs are compiled for: this processor's, or any with AVX2."""


class Manifest(BaseModel):
    """What an artefact is: everything that a caller needs to prepare inputs and read outputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = FORMAT_VERSION
    target: str
    form: Form
    heads: tuple[Head, ...]
    default_head: str | None
    state_embeddings: tuple[StateEmbedding, ...] = ()
    """Which of total charge and spin multiplicity matter."""
    default_charge: float = DEFAULT_STATE[0]
    default_spin: float = DEFAULT_STATE[1]
    elements: tuple[str, ...]
    r_max: float
    dtype: Literal["float32", "float64"]
    device: str
    units: dict[str, str]
    model_sha256: str
    torch_version: str
    mhff_version: str
    kernels: str = ""
    """Namespace of the operators in the shared library that comes with the program; empty where
    there is none.
    """
    isa: str = ""
    """Instruction set of a program for CPUs (`ISAS`)."""
    processor: str = ""
    """What the processor it was compiled on can do, in torch's words; the architecture of a GPU, as
    `sm_90`.
    """
    tables: dict[str, float] = {}
    """Error of forces that was asked of tables of radial functions, and the measured one, eV/A;
    number of intervals.
    """
    largest_errors: dict[str, float]
    """Against the eager float64 model: energy in eV per atom, edge gradients in eV/A relative to
    max(1, largest).
    """
    provenance: dict[str, Any] = {}
    program_sha256: str = ""
    """Checksum of the archive's other members and of this manifest without it."""


def pack(program: bytes, manifest: Manifest, members: Mapping[str, bytes]) -> bytes:
    """Add members (`KERNELS`, `CONSTANTS`) and the manifest to a compiled program."""
    stream = io.BytesIO(program)
    for name, content in members.items():
        _add(stream, name, content)
    signed = manifest.model_copy(
        update={"program_sha256": checksum(stream.getvalue(), manifest.model_dump(mode="json"))}
    )
    _add(stream, MEMBER, signed.model_dump_json(indent=1).encode())
    return stream.getvalue()


def _add(stream: io.BytesIO, name: str, content: bytes) -> None:
    with zipfile.ZipFile(stream, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/{name}", content)


def read_member(content: bytes, member: str) -> bytes:
    """A member that an artefact has beside its manifest: `KERNELS` where the manifest names them,
    `CONSTANTS`.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f"/{member}"))
        return archive.read(name)


def is_artefact(content: bytes) -> bool:
    """Whether a file's content is one of our artefacts, damaged or not."""
    return content[:4] == b"PK\x03\x04" and f"/{MEMBER}".encode() in content


def read_manifest(content: bytes, name: str | Path) -> Manifest:
    """Manifest of an artefact, after checking that the file is whole; `name` is for error messages."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            (member,) = (
                info for info in archive.infolist() if info.filename.endswith(f"/{MEMBER}")
            )
            if member.file_size > LONGEST_MANIFEST:
                raise ValueError(f"a manifest of {member.file_size} bytes")
            fields = json.loads(archive.read(member))
            intact = checksum(content, fields) == fields.get("program_sha256")
    except Exception as error:  # a damaged archive can make zipfile and zlib raise anything
        raise MHFFError(
            f"'{name}' is truncated or not an artefact of mhff ({error}); compile it again"
        ) from error
    if fields.get("format_version") != FORMAT_VERSION:
        raise MHFFError(
            f"'{name}' has artefact format version {fields.get('format_version')}, this mhff reads "
            "version "
            f"{FORMAT_VERSION}; compile it again with this mhff"
        )
    if not intact:
        raise MHFFError(
            f"'{name}' is damaged: its checksum does not fit its content; compile it again"
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        raise MHFFError(
            f"'{name}' has a manifest that this mhff cannot read; compile it again"
        ) from error


def checksum(content: bytes, manifest: Mapping[str, Any]) -> str:
    """Checksum of a manifest and of all other members of an artefact; ValueError where they are far
    too large.
    """
    digest = hashlib.sha256(json.dumps({**manifest, "program_sha256": ""}, sort_keys=True).encode())
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(info.file_size for info in archive.infolist())
        if size > MOST_INFLATED * len(content):
            raise ValueError(f"members of {size} bytes in a file of {len(content)}")
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            if not info.filename.endswith(f"/{MEMBER}"):
                digest.update(f"{info.filename}\n{info.file_size}\n".encode())
                digest.update(archive.read(info))
    return digest.hexdigest()
