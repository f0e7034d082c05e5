"""Irreps of e3nn in a file: lists of (multiplicity, degree l, parity)."""

from __future__ import annotations

import re
from typing import Any

from mhff.interop.mace.refusals import UnknownModelError
from mhff.interop.torchfile.refusals import quoted
from mhff.interop.torchfile.values import Inert

Irreps = tuple[tuple[int, int, int], ...]
"""(multiplicity, degree, parity) of each entry; the parity is 1 (even) or -1 (odd)."""

CUE_IRREPS = "cuequivariance.group_theory.irreps_array.irreps.Irreps"
CUE_IRREP = "mace.tools.cg.O3_e3nn"
"""mace-torch's class for cuequivariance, with the sign conventions of e3nn."""
_IRREP = re.compile(r"(?:([0-9]{1,9})x)?([0-9]{1,2})([eo])")


def irreps(value: Any) -> Irreps:
    """Irreps from an object of e3nn or cuequivariance, or from a string such as `6x0e+3x1o`.

    Raises UnknownModelError for anything else.
    """
    match value:
        case str():
            return _parsed(value)
        case Inert(path="e3nn.o3._irreps.Irreps", args=(tuple() as blocks,)):
            return tuple(_block(block) for block in blocks)
        case Inert(path=path, state={"_mulirreps": tuple() as blocks}) if path == CUE_IRREPS:
            return tuple(_block_of_cue(block) for block in blocks)
    raise UnknownModelError(f"it has a value of type {type(value).__name__} where irreps belong")


def natural(channels: int, lmax: int) -> Irreps:
    """`channels` of each degree up to `lmax`, with parity (-1)^l."""
    return tuple((channels, degree, (-1) ** degree) for degree in range(lmax + 1))


def words(value: Irreps) -> str:
    """Irreps as e3nn writes them."""
    return "+".join(
        f"{count}x{degree}{'e' if parity == 1 else 'o'}" for count, degree, parity in value
    )


def _block(value: Any) -> tuple[int, int, int]:
    match value:
        case Inert(args=(int() as count, Inert(args=(int() as degree, int() as parity)))):
            return _checked(count, degree, parity)
        case Inert(args=((int() as count, Inert(args=((int() as degree, int() as parity),))),)):
            return _checked(count, degree, parity)
    raise UnknownModelError("it has irreps that cannot be read")


def _block_of_cue(value: Any) -> tuple[int, int, int]:
    """A block in cuequivariance's form, whose irrep is a class that mace-torch adds."""
    match value:
        case Inert(
            state={
                "mul": int() as count,
                "ir": Inert(path=path, state={"l": int() as degree, "p": int() as parity}),
            }
        ) if path == CUE_IRREP:
            return _checked(count, degree, parity)
    raise UnknownModelError("it has irreps of cuequivariance that cannot be read")


def _parsed(text: str) -> Irreps:
    blocks = text.replace(" ", "").split("+") if text.strip() else []
    found = []
    for block in blocks:
        match = _IRREP.fullmatch(block)
        if match is None:
            raise UnknownModelError(f"it has {quoted(text)} where irreps belong")
        count, degree, parity = match.groups()
        found.append(_checked(int(count or 1), int(degree), 1 if parity == "e" else -1))
    return tuple(found)


def _checked(count: int, degree: int, parity: int) -> tuple[int, int, int]:
    if not (0 <= count < 10**9 and 0 <= degree < 100 and parity in (1, -1)):
        raise UnknownModelError(f"it has {quoted((count, degree, parity))} where an irrep belongs")
    return count, degree, parity
