"""Files that are damaged, that other programs zipped, or whose headers lie."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Callable, Iterator

from torch_archive import Fields, Lie, Parts, archive

Named = tuple[str, bytes]
"""A mutation: its name and the file."""


def damage(content: bytes) -> Iterator[Named]:
    """Bits flipped, ends cut, blocks lost and doubled."""
    source = random.Random(0)
    size = len(content)
    positions = [*range(30), *range(size - 98, size), *(source.randrange(size) for _ in range(120))]
    for position in positions:
        bit = source.randrange(8)
        flipped = bytes([content[position] ^ 1 << bit])
        yield (
            f"bit {bit} of byte {position} flipped",
            content[:position] + flipped + content[position + 1 :],
        )
    for length in (
        0,
        1,
        3,
        4,
        8,
        22,
        97,
        98,
        size // 2,
        size - 98,
        size - 97,
        size - 22,
        size - 4,
        size - 1,
    ):
        yield (f"cut to {length} bytes", content[:length])
    for length in sorted(source.sample(range(size), 20)):
        yield (f"cut to {length} bytes", content[:length])
        yield (f"first {length + 1} bytes lost", content[length + 1 :])
    for extra in (b"\0", b"PK", b"PK\x05\x06" + b"\0" * 18, content):
        yield (f"{len(extra)} bytes behind", content + extra)
        yield (f"{len(extra)} bytes in front", extra + content)
    for position in sorted(source.sample(range(size - 64), 20)):
        block = content[position : position + 16]
        zeros = b"\0" * 16 if any(block) else b"\1" * 16
        yield (f"block at {position} lost", content[:position] + zeros + content[position + 16 :])
        yield (f"block at {position} twice", content[:position] + block + content[position:])
    for start in (
        b"",
        b"{",
        b"\x80\x02",
        b"PK\x03\x04",
        b"PK\x05\x06" + b"\0" * 18,
        b"\x89HDF\r\n\x1a\n",
        b"\xff" * 8 + b"{",
    ):
        yield (f"nothing but {start!r}", start)
    yield ("the pickle alone", Parts(content).pickle)


def rewrites(parts: Parts, content: bytes) -> Iterator[Named]:
    """Containers by other programs, and with members that are not torch's."""
    for method, name in ((zipfile.ZIP_STORED, "stored"), (zipfile.ZIP_DEFLATED, "deflated")):
        yield (f"zipped by another program, {name}", _zipped(parts.members, method))
    bomb = [(f"{parts.root}data.pkl", b"\0" * 50_000_000)]
    yield ("a deflated bomb", _zipped(bomb, zipfile.ZIP_DEFLATED))
    bomb += [(f"{parts.root}code/x.py", b"\0" * 50_000_000)]
    yield ("a deflated bomb as code", _zipped([*parts.members, bomb[1]], zipfile.ZIP_DEFLATED))
    for name in (
        "../evil",
        "/etc/evil",
        "..\\evil",
        "a/../../evil",
        "./evil",
        "a//evil",
        "C:\\evil",
        "nul\0evil",
        "line\nfeed",
        "",
    ):
        yield (f"a member {name!r}", archive([*parts.members, (f"{parts.root}{name}", b"x")]))
        yield (
            f"a member {name!r} instead",
            archive([(f"{parts.root}{name}", b"x"), *parts.members[1:]]),
        )
        yield (f"a member {name!r} beside the folder", archive([*parts.members, (name, b"x")]))
    for root in ("..", ".", "", "/"):
        yield (
            f"the folder {root!r}",
            archive([(f"{root}/{n.removeprefix(parts.root)}", d) for n, d in parts.members]),
        )
    for name, data in parts.members:
        if name.endswith(("data.pkl", "/data/0")):
            yield (f"{name} twice", archive([*parts.members, (name, data)]))
            yield (f"{name} twice, changed", archive([(name, data[::-1]), *parts.members]))
            yield (f"{name} missing", archive([part for part in parts.members if part[0] != name]))
            yield (
                f"{name} empty",
                archive([(n, b"" if n == name else d) for n, d in parts.members]),
            )
            yield (
                f"{name} cut",
                archive([(n, d[:-1] if n == name else d) for n, d in parts.members]),
            )
            yield (
                f"{name} longer",
                archive([(n, d + b"\0" if n == name else d) for n, d in parts.members]),
            )
    yield ("no members", archive([]))
    yield (
        "another folder",
        archive([(f"x{n}" if i == 3 else n, d) for i, (n, d) in enumerate(parts.members)]),
    )
    yield ("a whole archive as pickle", parts.with_pickle(content))
    yield ("TorchScript", archive([*parts.members, (f"{parts.root}constants.pkl", b"\x80\x02).")]))
    order = archive([*parts.members, (f"{parts.root}byteorder", b"big")])
    names = [name for name, _ in parts.members]
    swapped = [(n, b"big" if n.endswith("/byteorder") else d) for n, d in parts.members]
    yield ("big endian", archive(swapped) if f"{parts.root}byteorder" in names else order)


def _zipped(parts: list[tuple[str, bytes]], method: int) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method, compresslevel=1) as target:
        for name, data in parts:
            target.writestr(name, data)
    return stream.getvalue()


def lies(whole: Parts) -> Iterator[Named]:
    """Every field of every kind of header with values that it should not have."""
    parts = whole.members
    last = len(parts) - 1
    for which, fields in (
        ("local", "needed flags method time date checksum stored size name_length padding"),
        (
            "central",
            "made_by needed flags method time date checksum stored size name_length extra comment "
            "disk offset",
        ),
    ):
        for field in (*fields.split(), *(("internal", "external") if which == "central" else ())):
            for number in (0, last):
                for change in (_plus(1), _plus(64), _set(0xFFFF)):
                    if lied := _lied(parts, which, _lie(number, field, change)):
                        yield (f"{which} {field} of member {number}, {change.__doc__}", lied)
    for number, fields in (
        (0, "record_size made_by needed disk start_disk count_here count size start"),
        (1, "disk end64 disks"),
        (2, "disk start_disk count_here count size start comment"),
    ):
        for field in fields.split():
            for change in (_plus(1), _plus(-1), _set(0xFFFF)):
                if lied := _lied(parts, "end", _lie(number, field, change)):
                    yield (f"end {number} {field}, {change.__doc__}", lied)
    for size in (0, 1, 0x7FFFFFFF, 0xFFFFFFFF):
        for fields in (("size",), ("stored",), ("size", "stored")):
            yield (
                f"{fields} of the first member {size}",
                archive(parts, central=_sizes(fields, size)),
            )
    yield ("overlapping members", archive(parts, central=_lie(last, "offset", _set(0))))
    yield ("encrypted", archive(parts, local=_flag, central=_flag))
    yield ("deflated in name", archive(parts, local=_method, central=_method))


def _lied(parts: list[tuple[str, bytes]], which: str, lie: Lie) -> bytes | None:
    try:
        lied = archive(parts, **{which: lie})
    except struct.error:  # the field cannot have this value
        return None
    return None if lied == archive(parts) else lied


def _lie(which: int, field: str, change: Callable[[int], int]) -> Lie:
    def lie(number: int, fields: Fields) -> None:
        if number == which:
            fields[field] = change(fields[field])

    return lie


def _plus(amount: int) -> Callable[[int], int]:
    def change(value: int) -> int:
        return value + amount

    change.__doc__ = f"plus {amount}"
    return change


def _set(new: int) -> Callable[[int], int]:
    def change(value: int) -> int:
        return new

    change.__doc__ = f"set to {new}"
    return change


def _sizes(names: tuple[str, ...], size: int) -> Lie:
    def lie(number: int, fields: Fields) -> None:
        if number == 0:
            fields.update(dict.fromkeys(names, size))

    return lie


def _flag(number: int, fields: Fields) -> None:
    fields["flags"] |= 1


def _method(number: int, fields: Fields) -> None:
    fields.update(method=8, needed=20)
