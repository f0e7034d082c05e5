"""The container of `torch.save`: a zip of stored members, read as strictly as torch writes it.

Torch has written its archives the same way since 1.6. The members follow one another under one
folder. Each has a local header without sizes, padding that aligns the data, the data, and a
descriptor with checksum and sizes. Then come the central directory, the zip64 end, its locator, and
the end. Few of these numbers are free, so the frame is rebuilt from them and compared byte for
byte, and the checksum of every member is computed. No changed bit goes unnoticed, nothing overlaps
or hides between the members, and nothing is ever inflated.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from mhff.errors import MHFFError
from mhff.interop.torchfile.refusals import DamagedError, ForeignError, quoted

MAX_BYTES = 2**32 - 1
"""Size of the largest archive, 4 GiB; torch writes other headers for larger ones."""
_STORED = 0
_DEFLATED = 8
_NEEDED = {_STORED: 0, _DEFLATED: 20}  # "version needed to extract", as torch writes it
_NAMES_ARE_UTF8 = 0x0800
_SIZES_FOLLOW = 0x0008
_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_DESCRIPTOR = struct.Struct("<4s3L")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END = struct.Struct("<4s4H2LH")
_FRAME_END = _END64.size + _LOCATOR.size + _END.size


@dataclass(frozen=True)
class _Entry:
    """The entry of one member in the central directory."""

    name: str
    raw_name: bytes
    method: int
    checksum: int
    stored: int
    size: int
    offset: int

    @property
    def empty(self) -> bool:
        """Empty members have no descriptor."""
        return self.size == 0 and self.stored == 0 and self.checksum == 0

    @property
    def flags(self) -> int:
        return _NAMES_ARE_UTF8 if self.empty else _NAMES_ARE_UTF8 | _SIZES_FOLLOW


class Archive:
    """The members of a torch archive, by name without the root folder.

    The members are views of `content`, whose bytes are not copied. Members under `code/`, which
    TorchScript deflates, are listed in `compressed` and never read. Raises DamagedError for
    everything that torch does not write.
    """

    def __init__(self, content: bytes | bytearray) -> None:
        view = memoryview(content)
        entries, directory = _directory(view)
        members: dict[str, memoryview] = {}
        self.compressed: set[str] = set()
        end = 0
        root = _root(entries)
        for entry in entries:
            data, end = _member(view, entry, end, directory)
            name = entry.name.removeprefix(root)
            _check_name(name)
            if name in members or name in self.compressed:
                raise DamagedError(f"it has two members {quoted(name)}")
            if entry.method == _DEFLATED:
                if not name.startswith("code/"):
                    raise DamagedError(f"its member {quoted(name)} is compressed")
                self.compressed.add(name)
            else:
                members[name] = data
        if end != directory:
            raise DamagedError("there is something between its members and their directory")
        self.members: Mapping[str, memoryview] = MappingProxyType(members)

    def __getitem__(self, name: str) -> memoryview:
        if name not in self.members:
            raise DamagedError(f"it has no member {quoted(name)}")
        return self.members[name]


def read_content(path: Path) -> bytearray:
    """The bytes of a file, read once, so that the bytes that are checked are those that are used.

    Raises MHFFError if the file cannot be read and RefusedError if it is too large or does
    not begin like an archive.
    """
    try:
        with path.open("rb") as stream:
            _check_kind(stream.read(16))
            size = stream.seek(0, os.SEEK_END)
            if size > MAX_BYTES:
                raise ForeignError(f"has {size} bytes, more than the 4 GiB that mhff reads")
            content = bytearray(size)
            stream.seek(0)
            if stream.readinto(content) != size:
                raise DamagedError("it changed while it was read")
            return content
    except OSError as error:
        raise MHFFError(
            f"cannot read '{path}' ({error.strerror}); check its permissions"
        ) from error


def open_archive(content: bytearray) -> Archive:
    """The archive of a model; raises ForeignError for compiled models and other byte orders."""
    archive = Archive(content)
    if archive.compressed or "constants.pkl" in archive.members:
        raise ForeignError(
            "is a compiled (TorchScript) model", "give the file that it was compiled from"
        )
    if bytes(archive.members.get("byteorder", b"little")) != b"little":
        raise ForeignError(
            "was written on a machine with another byte order", "save it again on an ordinary one"
        )
    return archive


def _check_kind(start: bytes) -> None:
    """Refuse files of other kinds, which their first bytes reveal."""
    if start.startswith(b"PK\x03\x04"):
        return
    if not start:
        raise DamagedError("it is empty")
    if start[:1] == b"\x80":
        raise ForeignError(
            "is a pickle without an archive, as torch before 1.6 wrote it",
            "load it with the program that wrote it and save it again with torch.save(model, FILE)",
        )
    raise ForeignError("was not written by torch.save, whose files begin like a zip")


def _directory(view: memoryview) -> tuple[list[_Entry], int]:
    """Entries of the central directory and where it begins."""
    if len(view) > MAX_BYTES:
        raise DamagedError("it is larger than 4 GiB")
    if len(view) < _FRAME_END or bytes(view[-_END.size :][:4]) != b"PK\x05\x06":
        raise DamagedError("its end is missing")
    _, _, _, count, _, size, start, _ = _END.unpack_from(view, len(view) - _END.size)
    end = start + size
    if view[end:] != _frame_end(count, size, start):
        raise DamagedError("its end is not as torch writes it")
    entries = list(_entries(view[start:end]))
    if len(entries) != count:
        raise DamagedError(f"its directory has {len(entries)} entries, but {count} are announced")
    if not entries:
        raise DamagedError("it has no members")
    return entries, start


def _frame_end(count: int, size: int, start: int) -> bytes:
    """Zip64 end, locator and end for a directory of `count` entries, `size` bytes at `start`."""
    return (
        _END64.pack(b"PK\x06\x06", _END64.size - 12, 0x031E, 45, 0, 0, count, count, size, start)
        + _LOCATOR.pack(b"PK\x06\x07", 0, start + size, 1)
        + _END.pack(b"PK\x05\x06", 0, 0, count, count, size, start, 0)
    )


def _entries(directory: memoryview) -> Iterator[_Entry]:
    position = 0
    while position < len(directory):
        if len(directory) - position < _CENTRAL.size:
            raise DamagedError("its directory is cut off")
        fields = _CENTRAL.unpack_from(directory, position)
        method = fields[4]
        checksum, stored, size, length = fields[7:11]
        offset = fields[16]
        end = position + _CENTRAL.size + length
        if end > len(directory):
            raise DamagedError("its directory is cut off")
        raw_name = bytes(directory[end - length : end])
        entry = _Entry(_decoded(raw_name), raw_name, method, checksum, stored, size, offset)
        header = (
            b"PK\x01\x02",
            0,
            _NEEDED.get(method),
            entry.flags,
            method,
            0,
            0,
            checksum,
            stored,
            size,
            length,
        )
        if fields != (*header, 0, 0, 0, 0, 0, offset):
            raise DamagedError(
                f"entry at byte {position} of its directory is not as torch writes it"
            )
        yield entry
        position = end


def _decoded(raw_name: bytes) -> str:
    try:
        return raw_name.decode()
    except UnicodeDecodeError as error:
        raise DamagedError("the name of a member is not UTF-8") from error


def _root(entries: list[_Entry]) -> str:
    """The one folder of all members, with its slash."""
    root = entries[0].name.partition("/")[0] + "/"
    if root in ("/", "./", "../") or not all(entry.name.startswith(root) for entry in entries):
        raise DamagedError("its members are not in one folder")
    return root


def _check_name(name: str) -> None:
    """A relative path without steps up, backslashes or control characters."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name or not name.isprintable():
        raise DamagedError(f"it has a member with the name {quoted(name)}")


def _member(view: memoryview, entry: _Entry, start: int, limit: int) -> tuple[memoryview, int]:
    """Data of the member that begins at `start`, and where it ends, descriptor included."""
    what = f"member {quoted(entry.name)}"
    if entry.offset != start or limit - start < _LOCAL.size:
        raise DamagedError(f"{what} is not where its directory says")
    padding = _LOCAL.unpack_from(view, start)[-1]
    header = _LOCAL.pack(
        b"PK\x03\x04",
        _NEEDED[entry.method],
        entry.flags,
        entry.method,
        0,
        0,
        0,
        0,
        0,
        len(entry.raw_name),
        padding,
    )
    if padding < 4:
        raise DamagedError(f"{what} has no padding")
    header += entry.raw_name + struct.pack("<2sH", b"FB", padding - 4) + b"Z" * (padding - 4)
    if view[start : start + len(header)] != header:
        raise DamagedError(f"the header of {what} is not as torch writes it")
    begin = start + len(header)
    end = begin + entry.stored
    data = view[begin:end]
    if entry.empty:
        return data, end
    descriptor = _DESCRIPTOR.pack(b"PK\x07\x08", entry.checksum, entry.stored, entry.size)
    if end + len(descriptor) > limit or view[end : end + len(descriptor)] != descriptor:
        raise DamagedError(f"{what} does not end where its directory says")
    if entry.method == _STORED and entry.stored != entry.size:
        raise DamagedError(f"{what} has two sizes, {entry.stored} and {entry.size} bytes")
    if entry.method == _STORED and zlib.crc32(data) != entry.checksum:
        raise DamagedError(f"the checksum of {what} does not match its content")
    return data, end + len(descriptor)
