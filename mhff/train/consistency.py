"""Mistakes between the sections of CONFIG.yaml: keys that exclude or need each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mhff.heads import E0sKind
from mhff.yamlfile import Mistake

FINE_TUNING = ("keep_heads", "replay", "freeze", "lora")
"""Sections that only a run with `start_from` has."""


def inconsistencies(content: Mapping[str, Any]) -> Iterator[Mistake]:
    """Mistakes between the sections of a file, whatever else is wrong with them."""
    heads = _mapping(content.get("heads"))
    if content.get("start_from") is None:
        return _of_scratch(content, heads)
    return _of_fine_tuning(content, heads)


def _of_scratch(content: Mapping[str, Any], heads: Mapping[str, Any]) -> Iterator[Mistake]:
    """Keys that need a model to start from."""
    advice = "which needs a model to start from; add start_from, or remove it"
    for key in FINE_TUNING:
        if content.get(key):
            yield (key,), f"found {key}, {advice}"
    for name, head in heads.items():
        settings = _mapping(head)
        if settings.get("start_from") is not None:
            yield (
                ("heads", name, "start_from"),
                f"found the head {settings['start_from']}, {advice}",
            )
        if settings.get("e0s") == E0sKind.REESTIMATED:
            yield ("heads", name, "e0s"), f"found {E0sKind.REESTIMATED}, {advice}"


def _of_fine_tuning(content: Mapping[str, Any], heads: Mapping[str, Any]) -> Iterator[Mistake]:
    """Keys that a model to start from excludes."""
    if content.get("model"):
        yield (
            ("model",),
            "start_from and model exclude each other, because the start model's architecture "
            "stays; remove one",
        )
    for name in _mapping(content.get("replay")):
        if name in heads:
            yield (
                ("replay", name),
                f"the head {name} is also in heads, where it learns more; put all its files there",
            )


def _mapping(value: Any) -> Mapping[str, Any]:
    """A section, or an empty one if it is not one."""
    return value if isinstance(value, Mapping) else {}
