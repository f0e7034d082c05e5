"""Which structures of a head are used: its filter, and suspicious labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mhff.data.reading import LabelledStructure
from mhff.data.suspicion import stress_suspicion, suspicions
from mhff.train.sections.heads import SourceSettings
from mhff.train.settings import Settings

MAX_LISTED = 20
"""Suspicious labels that are listed one by one."""


def select(
    structures: Sequence[LabelledStructure], source: SourceSettings
) -> tuple[list[LabelledStructure], list[str]]:
    """The structures that the head's filter accepts, and sentences for the user."""
    accepted = [item for item in structures if source.filter.accepts(item)]
    count = len(structures) - len(accepted)
    return accepted, [f"the filter leaves out {count} structures"] if count else []


def judge(
    structures: Sequence[LabelledStructure], E0s: Mapping[str, float], settings: Settings
) -> tuple[list[LabelledStructure], list[str]]:
    """The structures to use, and sentences about those whose labels are probably wrong.

    Suspicious stresses are only reported: no single structure is to blame.
    """
    found = suspicions([item for item in structures if not item.is_isolated_atom], E0s)
    suspicious = {id(item) for item, _ in found}
    sentences = [sentence for _, sentence in found[:MAX_LISTED]]
    if len(found) > MAX_LISTED:
        sentences.append(f"and {len(found) - MAX_LISTED} more suspicious labels")
    used = list(structures)
    if suspicious and settings.data.suspicious == "leave_out":
        used = [item for item in structures if id(item) not in suspicious]
        sentences.append(f"{len(suspicious)} suspicious structures are left out")
    elif suspicious:
        sentences.append(
            f"{len(suspicious)} suspicious structures are used; data.suspicious: leave_out leaves "
            "them out"
        )
    stress = stress_suspicion(used)
    return used, [*sentences, *([stress] if stress else [])]
