"""Mutations of a mace-torch `.model` file: damage, false headers, and harmful pickles.

`mutations` gives files that a reader must refuse, each with a name. `noise` and `confusion` give
files with changed pickles in sound containers; some of these can be read, and none may do harm. All
mutations of one file are reproducible.
"""

from __future__ import annotations

import pickletools
import random
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

import hostile_calls
import hostile_containers
import hostile_pickles
from torch_archive import Parts

VALUES = {
    *(
        "NONE",
        "NEWTRUE",
        "NEWFALSE",
        "BININT",
        "BININT1",
        "BININT2",
        "LONG1",
        "BINFLOAT",
        "BINUNICODE",
        "SHORT_BINUNICODE",
    ),
    *("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "BINGET", "LONG_BINGET"),
}
"""Opcodes that put one value on the stack."""
OTHERS = (
    *(
        b"N",
        b"\x88",
        b"K\0",
        b"K\1",
        b"J\xff\xff\xff\xff",
        b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
        b")",
        b"]",
        b"}",
    ),
    *(b"X\0\0\0\0", b"G\x7f\xf0" + bytes(6), b"G\x7f\xf8" + bytes(6), b"G\xbf\xf0" + bytes(6)),
)
"""None, numbers (also infinite, not one, negative and large), and things that are empty."""


class Mutation(NamedTuple):
    """A file to refuse."""

    name: str
    content: bytes


def mutations(content: bytes, canary: Path) -> Iterator[Mutation]:
    """More than 500 mutations of a model's file; those that run code create the file `canary`."""
    parts = Parts(content)
    for name, mutated in chain(
        hostile_containers.damage(content),
        hostile_containers.rewrites(parts, content),
        hostile_containers.lies(parts),
        hostile_calls.calls(parts, canary),
        hostile_calls.code(parts, canary),
        hostile_pickles.opcodes(parts),
        hostile_pickles.bombs(parts),
        hostile_pickles.modules(parts),
        hostile_pickles.tensors(parts),
    ):
        assert mutated != content, f"{name} changes nothing"
        yield Mutation(name, mutated)


def noise(content: bytes, count: int, seed: int = 1) -> Iterator[Mutation]:
    """Files in sound containers whose pickle has a few random bytes changed, removed or doubled."""
    source = random.Random(seed)
    parts = Parts(content)
    for number in range(count):
        pickle = bytearray(parts.pickle)
        for _ in range(source.randint(1, 4)):
            position = source.randrange(2, len(pickle))
            match source.randrange(4):
                case 0:
                    pickle[position] = source.randrange(256)
                case 1:
                    pickle[position] ^= 1 << source.randrange(8)
                case 2:
                    del pickle[position : position + source.randint(1, 8)]
                case 3:
                    pickle[position:position] = pickle[position : position + source.randint(1, 8)]
        yield Mutation(f"noise {number}", parts.with_pickle(bytes(pickle)))


def confusion(content: bytes, count: int, seed: int = 1) -> Iterator[Mutation]:
    """Files whose well-formed pickle has one to three values, names or parts exchanged."""
    source = random.Random(seed)
    parts = Parts(content)
    found = list(pickletools.genops(parts.pickle))
    starts = [position for *_, position in found] + [len(parts.pickle)]
    pieces = [parts.pickle[start:end] for start, end in pairwise(starts)]
    values = [n for n, (opcode, *_) in enumerate(found) if opcode.name in VALUES]
    names = [n for n, (opcode, *_) in enumerate(found) if opcode.name in ("GLOBAL", "STACK_GLOBAL")]
    for number in range(count):
        changed = list(pieces)
        for _ in range(source.randint(1, 3)):
            where = source.choice(names) if source.random() < 0.1 else source.choice(values)
            group = names if where in names else values
            changed[where] = source.choice(
                (*OTHERS, pieces[source.choice(group)], pieces[source.choice(group)])
            )
        yield Mutation(f"confusion {number}", parts.with_pickle(b"".join(changed)))
