"""Durations in words."""

from __future__ import annotations

SECONDS_PER_UNIT = {"days": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0}


def in_words(seconds: float) -> str:
    """A duration in two digits and the unit that fits."""
    unit = next((unit for unit, each in SECONDS_PER_UNIT.items() if seconds >= each), "s")
    return f"{seconds / SECONDS_PER_UNIT[unit]:.2g} {unit}"
