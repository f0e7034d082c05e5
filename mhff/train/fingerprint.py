"""Everything that decides the result of a run; a run continues only if none of it has changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from mhff.train.settings import Settings

Fingerprint = dict[str, Any]
NOT_DECISIVE = {
    "run": ("out", "device", "kernels", "accumulate", "checkpoint_minutes", "loggers", "wandb"),
    "data": ("streaming", "workers"),
}
"""Settings by section that do not change the result beyond rounding."""


def fingerprint(
    settings: Settings, checksums: Mapping[str, Mapping[str, str]], start: str | None = None
) -> Fingerprint:
    """The decisive settings, with sha256 in place of paths.

    `checksums`: those of the data by head and file name; `start`: that of the start model.
    """
    content = settings.model_dump(mode="json")
    for section, names in NOT_DECISIVE.items():
        for name in names:
            del content[section][name]
    content["start_from"] = start
    for head, files in checksums.items():
        section = "heads" if head in content["heads"] else "replay"
        content[section][head]["files"] = dict(files)
    return content


def completed(stored: Fingerprint) -> Fingerprint:
    """A stored fingerprint, with the defaults of settings that did not exist when it was made.

    A fingerprint that today's settings cannot read is returned unchanged.
    """
    content = copy.deepcopy(stored)
    try:
        checksums = {}
        for name, source in [*content["heads"].items(), *content.get("replay", {}).items()]:
            checksums[name] = source["files"]
            source["files"] = list(source["files"])
        settings = Settings.model_validate(content)
        return fingerprint(settings, checksums, settings.start_from)
    except (KeyError, TypeError, AttributeError, ValidationError):
        return stored


def differences(stored: Fingerprint, now: Fingerprint) -> list[str]:
    """Changes since a fingerprint was stored, one phrase per setting.

    A run may become longer or shorter, unless its learning rate depends on the length.
    """
    before = _flat(completed(stored))
    after = _flat(now)
    length = ["run.patience"]
    if after["schedule.kind"] != "cosine":
        length.append("run.epochs")
    for key in length:
        after[key] = before.get(key, after[key])
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
