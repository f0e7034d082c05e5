"""The polynomials of cuequivariance in a file: sums of products of segments of their operands.

A module of cuequivariance holds its weights and the polynomial that they enter, with every
coefficient. mhff reads the coefficients, so no convention of the library has to be guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from mhff.interop.mace.generated import CUE_MODULE, CUE_OBJECTS
from mhff.interop.mace.refusals import UnknownModelError, expect
from mhff.interop.torchfile.modules import ARGUMENTS, ModuleRecord
from mhff.interop.torchfile.values import Inert

_BLOCK, _OPERATION, _PATH, _POLYNOMIAL, _PRODUCT = CUE_OBJECTS
_SUBSCRIPTS = "cuequivariance.segmented_polynomials.subscripts.Subscripts"


@dataclass(frozen=True)
class Path:
    """One product: a segment of each operand, the last one of the output."""

    segments: tuple[int, ...]
    coefficients: torch.Tensor


@dataclass(frozen=True)
class Term:
    """Products of the same operands."""

    operands: tuple[int, ...]
    """Number of the polynomial's input, or of its output, for each factor."""
    subscripts: str
    """Axes of the operands' segments and of the coefficients, such as `uv,iu,jv,kuv+ijk`."""
    paths: tuple[Path, ...]


def read_terms(module: ModuleRecord) -> tuple[Term, ...]:
    """Terms of the polynomial that a module evaluates; raises UnknownModelError for others."""
    expect(module.class_path == CUE_MODULE, f"{module.path} is not a polynomial of cuequivariance")
    match module.attributes.get(ARGUMENTS):
        case (
            Inert(path=path, state={"operations": tuple() as operations}),
            *_,
        ) if path == _POLYNOMIAL:
            return tuple(_term(operation, module.path) for operation in operations)
    raise _unreadable(module.path)


def _term(value: Any, place: str) -> Term:
    match value:
        case (
            Inert(path=first, state={"buffers": tuple() as operands}),
            Inert(
                path=second,
                state={
                    "operands_and_subscripts": tuple() as factors,
                    "coefficient_subscripts": Inert(path=third, args=(str() as axes,)),
                    "paths": tuple() as paths,
                },
            ),
        ) if (first, second, third) == (_OPERATION, _PRODUCT, _SUBSCRIPTS):
            found = ",".join(_subscripts(factor, place) for factor in factors)
            read = tuple(_path(path, len(factors), place) for path in paths)
            expect(_are_integers(operands), f"{place} has odd operands")
            return Term(operands, f"{found}+{axes}", read)
    raise _unreadable(place)


def _subscripts(value: Any, place: str) -> str:
    match value:
        case (_, str() as axes):
            return axes
    raise _unreadable(place)


def _path(value: Any, n_factors: int, place: str) -> Path:
    match value:
        case Inert(
            path=path,
            state={"indices": tuple() as indices, "coefficients": torch.Tensor() as coefficients},
        ) if path == _PATH and len(indices) == n_factors and _are_integers(indices):
            finite = bool(torch.isfinite(coefficients).all())
            expect(finite, f"{place} has coefficients that are not finite")
            return Path(indices, coefficients)
    raise _unreadable(place)


def _are_integers(values: tuple[Any, ...]) -> bool:
    return all(type(value) is int and 0 <= value < 10**9 for value in values)


def _unreadable(place: str) -> UnknownModelError:
    return UnknownModelError(
        f"{place} is a polynomial of cuequivariance in a form that mhff does not know (it knows "
        "that of version 0.13); convert the file to e3nn's layout with mace-torch's "
        "convert_cueq_e3nn"
    )
