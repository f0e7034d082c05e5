"""Mutations of a mace-torch `.model` file: damage, lies of the container, and pickles that want to run, hang or exhaust.

`mutations` gives files that a reader must refuse, each with a name; `noise` gives files with changed pickles in containers
that are in order, of which some can be read and none may do harm. Both are the same for the same file.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import hostile_calls
import hostile_containers
import hostile_pickles
from torch_archive import Parts


class Mutation(NamedTuple):
    """A file to refuse."""

    name: str
    content: bytes


def mutations(content: bytes, canary: Path) -> Iterator[Mutation]:
    """More than 500 mutations of a model's file; those that would run something would create the file `canary`."""
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
    """Files whose pickle has a few random bytes changed, removed or doubled, in a container that is in order."""
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
