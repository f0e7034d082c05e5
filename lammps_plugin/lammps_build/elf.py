"""Let a shared library that was linked against newer C libraries ask for versions that exist here.

A library lists, per library that it needs, the versions of symbols that it was linked against, as
names and hashes (section `.gnu.version_r`). An entry may be replaced by that of an older version
if the symbols behind it are provided elsewhere. See the System V ABI and the Linux Standard Base,
"Symbol Versioning".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .environment import BuildError

MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
SECTIONS = struct.Struct("<40xQ10xHH")  # of the file's header: their offset, size and number
SECTION = struct.Struct("<4xI16xQQI20x")  # type, offset, size, linked section
NEED = struct.Struct("<2xH4xII")  # number of versions, offsets of the first one and the next NEED
VERSION = struct.Struct("<I4xII")  # hash, name, offset of the next
INTEGER = struct.Struct("<I")
NAME = 8  # where the name of a version is, counted from its hash
VERNEED = 0x6FFFFFFE  # type of the section


@dataclass(frozen=True)
class Version:
    """A version that the library asks for."""

    position: int  # in the file
    hash: int
    name_offset: int
    name: str


def versions(data: bytes) -> Iterator[Version]:
    """The versions that a library asks for; none if it has no such section."""
    start, size, count = SECTIONS.unpack_from(data)
    sections = [SECTION.unpack_from(data, start + size * number) for number in range(count)]
    for kind, position, _, linked in sections:
        if kind == VERNEED:
            yield from _versions(data, position, names=sections[linked][1])


def _versions(data: bytes, need: int, names: int) -> Iterator[Version]:
    while True:
        count, first, next_need = NEED.unpack_from(data, need)
        position = need + first
        for _ in range(count):
            hash_, name_offset, next_version = VERSION.unpack_from(data, position)
            name = data[names + name_offset : data.index(0, names + name_offset)].decode()
            yield Version(position, hash_, name_offset, name)
            position += next_version
        if not next_need:
            return
        need += next_need


def ask_for_older(library: Path, older: Mapping[str, str]) -> None:
    """Replace versions that `library` asks for, in place; `older`: from names to names.

    Raises BuildError if it is not a library for 64 bits, or does not ask for all of these names.
    """
    data = bytearray(library.read_bytes())
    if not data.startswith(MAGIC):
        raise BuildError(f"expected a shared library of 64 bits in {library}, found another file.")
    found = {version.name: version for version in versions(data)}
    missing = sorted({*older, *older.values()} - found.keys())
    if missing:
        raise BuildError(
            f"expected {library.name} to ask for {' and '.join(missing)}, found that it does not: "
            "mhff does not know this version of the package."
        )
    for version in versions(bytes(data)):
        if version.name in older:
            replacement = found[older[version.name]]
            INTEGER.pack_into(data, version.position, replacement.hash)
            INTEGER.pack_into(data, version.position + NAME, replacement.name_offset)
    library.write_bytes(data)
