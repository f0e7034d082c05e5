"""Archives as `torch.save` writes them, taken apart and put together again, with lies if asked."""

from __future__ import annotations

import io
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence

Fields = dict[str, int]
Lie = Callable[[int, Fields], None]
"""Changes fields of the header of member n, or of record n of the end (zip64 end, locator, end)."""

LOCAL = (
    "needed",
    "flags",
    "method",
    "time",
    "date",
    "checksum",
    "stored",
    "size",
    "name_length",
    "padding",
)
CENTRAL = ("made_by", *LOCAL[:-1], "extra", "comment", "disk", "internal", "external", "offset")
END64 = (
    "record_size",
    "made_by",
    "needed",
    "disk",
    "start_disk",
    "count_here",
    "count",
    "size",
    "start",
)
LOCATOR = ("disk", "end64", "disks")
END = ("disk", "start_disk", "count_here", "count", "size", "start", "comment")
END_OF_MODULE = b"ub."
"""Opcodes at the end of a module's pickle: set the state's items, build, stop."""


def members(content: bytes) -> list[tuple[str, bytes]]:
    """Full names and contents of the members, in order."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        return [(info.filename, source.read(info)) for info in source.infolist()]


def archive(
    parts: Sequence[tuple[str, bytes]],
    *,
    local: Lie | None = None,
    central: Lie | None = None,
    end: Lie | None = None,
    alignment: int = 64,
) -> bytes:
    """The archive that torch would write of these members, byte for byte, but for the lies."""
    content, directory = bytearray(), bytearray()
    for number, (name, data) in enumerate(parts):
        raw = name.encode()
        padding = 4 + -(len(content) + 30 + len(raw) + 4) % alignment
        known = {
            "flags": 0x0808 if data else 0x0800,
            "name_length": len(raw),
            "padding": padding,
            "offset": len(content),
        }
        sizes = {"checksum": zlib.crc32(data), "stored": len(data), "size": len(data)}
        directory += (
            _packed(b"PK\x01\x02", "<6H3L5H2L", CENTRAL, known | sizes, number, central) + raw
        )
        content += _packed(b"PK\x03\x04", "<5H3L2H", LOCAL, known, number, local) + raw
        content += b"FB" + struct.pack("<H", padding - 4) + b"Z" * (padding - 4)
        content += data
        content += b"PK\x07\x08" + struct.pack("<3L", *sizes.values()) if data else b""
    known = {
        "count_here": len(parts),
        "count": len(parts),
        "size": len(directory),
        "start": len(content),
    }
    known |= {
        "record_size": 44,
        "made_by": 0x031E,
        "needed": 45,
        "end64": len(content) + len(directory),
        "disks": 1,
    }
    content += directory
    content += _packed(b"PK\x06\x06", "<Q2H2L4Q", END64, known, 0, end)
    content += _packed(b"PK\x06\x07", "<LQL", LOCATOR, known, 1, end)
    content += _packed(b"PK\x05\x06", "<4H2LH", END, known, 2, end)
    return bytes(content)


def _packed(
    signature: bytes, layout: str, names: Sequence[str], known: Fields, number: int, lie: Lie | None
) -> bytes:
    fields = {name: known.get(name, 0) for name in names}
    if lie is not None:
        lie(number, fields)
    return signature + struct.pack(layout, *fields.values())


class Parts:
    """A file taken apart, to be put together with something changed and with checksums that fit."""

    def __init__(self, content: bytes) -> None:
        self.members = members(content)
        self.root = self.members[0][0].partition("/")[0] + "/"
        pickle = dict(self.members)[f"{self.root}data.pkl"]
        self.pickle = re.sub(
            rb"ub(q.|r....)\.$", END_OF_MODULE, pickle, flags=re.DOTALL
        )  # TorchScript also puts it in the memo
        opcodes = [opcode.name for opcode, *_ in pickletools.genops(self.pickle)]
        self.puts = sum(opcodes.count(name) for name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"))
        """How many values the pickle has in its memo."""

    def with_pickle(self, pickle: bytes, *more: tuple[str, bytes]) -> bytes:
        """The file with another `data.pkl`, and more members."""
        changed = [
            (name, pickle if name == f"{self.root}data.pkl" else data)
            for name, data in self.members
        ]
        return archive([*changed, *((self.root + name, data) for name, data in more)])

    def with_attribute(
        self, value: bytes, name: str = "planted", *more: tuple[str, bytes]
    ) -> bytes:
        """The file with one more attribute of the root module, made by the opcodes `value`."""
        assert self.pickle.endswith(END_OF_MODULE)
        raw = name.encode()
        key = b"X" + struct.pack("<L", len(raw)) + raw
        return self.with_pickle(
            self.pickle[: -len(END_OF_MODULE)] + key + value + END_OF_MODULE, *more
        )
