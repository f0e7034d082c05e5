"""Opcodes of pickles that tests write by hand, for values and calls."""

from __future__ import annotations

import struct

NONE, TRUE, FALSE, NOTHING = b"N", b"\x88", b"\x89", b")"


def text(value: str) -> bytes:
    """A str."""
    raw = value.encode()
    return b"X" + struct.pack("<L", len(raw)) + raw


def integer(value: int) -> bytes:
    """An int of up to 71 bits."""
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def name(path: str) -> bytes:
    """A global, from `module name`."""
    return b"c" + path.replace(" ", "\n").encode() + b"\n"


def several(*values: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(values) + b"t"


def call(path: str, *arguments: bytes) -> bytes:
    """A function called."""
    return name(path) + several(*arguments) + b"R"


def recall(index: int) -> bytes:
    """A value in the memo."""
    return b"j" + struct.pack("<L", index)


def dictionary(**items: bytes) -> bytes:
    """A dict with str keys."""
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"
