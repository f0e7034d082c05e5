"""Everything that decides the result of a run; a run continues only if none of it has changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mhff.train.settings import Settings

Fingerprint = dict[str, Any]
NOT_DECISIVE = ("out", "device", "kernels")
"""Settings of the section `run` that do not change the result beyond rounding."""


def fingerprint(settings: Settings, checksums: Mapping[str, Mapping[str, str]]) -> Fingerprint:
    """The decisive settings, and the data's sha256 by head and file name in place of paths."""
    content = settings.model_dump(mode="json")
    for name in NOT_DECISIVE:
        del content["run"][name]
    for head, files in checksums.items():
        content["heads"][head]["files"] = dict(files)
    return content


def completed(stored: Fingerprint) -> Fingerprint:
    """A stored fingerprint, with the defaults of settings that did not exist when it was made.

    A fingerprint that today's settings cannot read is returned unchanged.
    """
    content = copy.deepcopy(stored)
    try:
        checksums = {name: head["files"] for name, head in content["heads"].items()}
        for name, files in checksums.items():
            content["heads"][name]["files"] = list(files)
        return fingerprint(Settings.model_validate(content), checksums)
    except (KeyError, TypeError, AttributeError, ValidationError):
        return stored


def differences(stored: Fingerprint, now: Fingerprint) -> list[str]:
    """Changes since a fingerprint was stored, one phrase per setting."""
    before = _flat(completed(stored))
    after = _flat(now)
    return [
        f"{key} was {before.get(key, 'absent')}, now {after.get(key, 'absent')}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key, "absent") != after.get(key, "absent")
    ]


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as `section.key`."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        nested = isinstance(value, Mapping)
        flat |= _flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat
