"""Targets: what `mhff compile --target` can make. Adapters contribute theirs by the entry-point
group `mhff.targets`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points

from mhff.errors import MHFFError, listing
from mhff_deploy.artefact.content import Form


def _as_it_is(artefact: bytes) -> bytes:
    return artefact


def _any_name(output: str) -> None:
    pass


@dataclass(frozen=True)
class Target:
    """A kind of file that can be compiled to."""

    name: str
    forms: tuple[Form, ...]
    """Forms of the program that it takes, the default first."""
    wrap: Callable[[bytes], bytes] = _as_it_is
    """Makes the target's file of an artefact."""
    check_output: Callable[[str], None] = _any_name
    """Raises MHFFError for a file name that the target's engine would take for something else."""


AOTI = Target("aoti", ("aoti",))
TORCHSCRIPT = Target("torchscript", ("torchscript",))


def find_target(name: str) -> Target:
    """The target of a name; raises MHFFError naming those that exist."""
    found = {entry.name: entry for entry in entry_points(group="mhff.targets")}
    if name not in found:
        raise MHFFError(f"unknown target '{name}': choose one of {listing(sorted(found))}")
    target: Target = found[name].load()
    return target
