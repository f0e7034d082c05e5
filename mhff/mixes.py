"""Mixes of heads with a name, given when a program is compiled.

The name of a mix then stands wherever the name of a head does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from mhff.errors import MHFFError

EXAMPLE = "screened=0.7*materials+0.3*surfaces"
NAME = r"^[A-Za-z0-9_.-]+$"
"""Names that input scripts take without quotes."""
NEXT_TERM = re.compile(r"\+(?=[^+*]*\*)")
"""The plus sign before a term; names of heads may hold others."""


class Mix(BaseModel):
    """A named weighted sum of heads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=NAME)]
    weights: dict[str, float]
    """Weight of each head, by name; they sum to 1."""

    def __str__(self) -> str:
        terms = [f"{weight}*{head}" for head, weight in self.weights.items()]
        return f"{self.name}={'+'.join(terms)}"


def parse_mix(text: str) -> Mix:
    """The mix that a user writes as in `EXAMPLE`; raises MHFFError for anything else."""
    name, _, terms = text.partition("=")
    name = name.strip()
    if not re.match(NAME, name):
        raise _not_a_mix(text)
    parsed = []
    for term in NEXT_TERM.split(terms):
        weight, _, head = (part.strip() for part in term.partition("*"))
        if not head:
            raise _not_a_mix(text)
        try:
            parsed.append((head, float(weight)))
        except ValueError as error:
            raise _not_a_mix(text) from error
    return make_mix(name, parsed)


def make_mix(name: str, terms: Iterable[tuple[str, float]]) -> Mix:
    """A mix of heads with weights; raises MHFFError if it names a head twice."""
    weights: dict[str, float] = {}
    for head, weight in terms:
        if head in weights:
            raise MHFFError(f"the mix '{name}' names the head '{head}' twice; add the two weights")
        weights[head] = weight
    return Mix(name=name, weights=weights)


def _not_a_mix(text: str) -> MHFFError:
    return MHFFError(
        f"expected a mix as NAME=WEIGHT*HEAD+WEIGHT*HEAD, for example {EXAMPLE}, got '{text}'; "
        "correct it (a name has letters, digits, points, hyphens and underscores)"
    )
