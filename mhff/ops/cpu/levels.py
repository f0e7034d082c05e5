"""Levels of instruction sets that kernels are compiled for, and the best that runs on this machine.

A level is a name that compilers know, or `native`: everything that this processor has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from mhff.errors import MHFFError, listing

CPU_INFO = Path("/proc/cpuinfo")
NATIVE = "native"
CAPABILITIES = ("DEFAULT", "NO AVX", "AVX2", "AVX512")
"""torch's names for the capability of a processor, ascending."""
USED_BY_COMPILERS = re.compile(
    r"^(sse|ssse|avx|fma|f16c|bmi|abm|popcnt|movbe|adx|gfni|sha|v?aes|v?pclmul|xop|asimd|sve)"
)
"""Instruction sets that a C++ compiler uses by itself when it compiles for this machine.

Tiles (AMX) are not among them: kernels ask for them when they run (`include/tiles.h`).
"""


class Level(NamedTuple):
    """The processors that a level needs."""

    capability: str
    """torch's name; it comes from the processor itself, and users can lower it."""
    instructions: frozenset[str]
    """Names in `CPU_INFO`."""


_V3 = frozenset({"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"})
_AVX512 = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
LEVELS = {"x86-64-v3": Level("AVX2", _V3), "x86-64-v4": Level("AVX512", _V3 | _AVX512)}


def instructions() -> tuple[str, ...]:
    """Instruction sets of this machine's CPU, sorted; empty if the system does not list them."""
    if not CPU_INFO.exists():
        return ()
    for line in CPU_INFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return tuple(sorted(filter(USED_BY_COMPILERS.match, value.split())))
    return ()


def needs(level: str) -> tuple[str, ...]:
    """Instruction sets that a level needs, sorted; for `native` those of this machine."""
    return instructions() if level == NATIVE else tuple(sorted(LEVELS[level].instructions))


def missing(needed: Iterable[str]) -> list[str]:
    """Which of these instruction sets this machine lacks, as far as the system lists them."""
    here = set(instructions())
    return sorted(set(needed) - here) if here else []


def capability() -> str:
    """torch's name for the capability of this machine's CPU."""
    return torch.backends.cpu.get_cpu_capability()


def capability_rank(name: str) -> int:
    """Position in `CAPABILITIES`; a name that this version does not know is above all others."""
    return CAPABILITIES.index(name) if name in CAPABILITIES else len(CAPABILITIES)


def lacking(level: str) -> list[str]:
    """What this machine lacks for a level; empty if its code runs here."""
    if level == NATIVE:
        return []
    needed = LEVELS[level]
    if capability_rank(capability()) < capability_rank(needed.capability):
        return [needed.capability]
    return missing(needed.instructions)


def best(levels: Sequence[str]) -> str:
    """The last of some ascending levels whose code runs here; raises MHFFError if none does."""
    for level in reversed(levels):
        if not lacking(level):
            return level
    raise MHFFError(
        f"these kernels are for processors with {levels[0]}, but this one lacks "
        f"{listing(lacking(levels[0]))}; compile with --isa native here"
    )
