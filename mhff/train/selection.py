"""Which structures of a head are used: its filter, and suspicious labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mhff.data.reading import LabelledStructure, describe_not_finite, refuse_not_finite
from mhff.data.suspicion import stress_suspicion, suspicions
from mhff.errors import shortened
from mhff.train.sections.data import DataSettings
from mhff.train.sections.heads import SourceSettings
from mhff.train.settings import Settings

MAX_LISTED = 20
"""Suspicious labels that are listed one by one."""


def select(
    structures: Sequence[LabelledStructure], source: SourceSettings, data: DataSettings
) -> tuple[list[LabelledStructure], list[str]]:
    """The structures with finite labels that the filter accepts, and sentences for the user.

    Raises MHFFError for NaN and infinity, unless suspicious structures are left out.
    """
    if data.suspicious == "keep":
        refuse_not_finite(structures, "data.suspicious: leave_out leaves them out")
    finite = [item for item in structures if not item.not_finite]
    labelled = finite
    if source.needs_labels:
        labelled = [item for item in finite if item.is_labelled or item.is_isolated_atom]
    accepted = [item for item in labelled if source.filter.accepts(item)]
    notes = []
    if len(finite) < len(structures):
        wrong = [describe_not_finite(item) for item in structures if item.not_finite]
        notes.append(f"{len(wrong)} structures are left out: {shortened(wrong)}")
    if len(labelled) < len(finite):
        notes.append(f"{len(finite) - len(labelled)} structures without any label are left out")
    if len(accepted) < len(labelled):
        notes.append(f"the filter leaves out {len(labelled) - len(accepted)} structures")
    return accepted, notes


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
