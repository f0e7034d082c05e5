"""The heads of a fine-tuned model, and the heads of the start model that they begin as."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mhff.errors import MHFFError, listing, nearest_to
from mhff.train.sections.heads import HeadSettings
from mhff.train.settings import Settings


def inherited_heads(settings: Settings, old: Sequence[str]) -> dict[str, str]:
    """Names of all heads in their order, each with the old head that it begins as.

    Old heads that stay come first, then new ones. Raises one MHFFError for all mistakes.
    """
    problems = list(_problems(settings, old))
    if problems:
        raise MHFFError("\n  ".join(problems))
    kept = kept_heads(settings, old)
    new = {
        name: head.start_from or old[0] for name, head in settings.heads.items() if name not in old
    }
    return {name: name for name in old if name in kept} | new


def kept_heads(settings: Settings, old: Sequence[str]) -> tuple[str, ...]:
    """Heads of the start model that stay."""
    return tuple(old) if settings.keep_heads is None else settings.keep_heads


def _problems(settings: Settings, old: Sequence[str]) -> Iterator[str]:
    """Sentences about heads that the start model does not have, or that do not stay."""
    kept = kept_heads(settings, old)
    for name in kept:
        if name not in old:
            yield f"keep_heads: {_unknown(name, old)}"
    for name, head in settings.heads.items():
        place = f"heads.{name}"
        if name in old:
            yield from _problems_of_old(place, head)
        elif head.start_from is None and len(old) > 1:
            yield (
                f"{place}: a new head begins as a head of the start model, which has "
                f"{listing(old)}; name one with start_from"
            )
        elif head.start_from not in (None, *old):
            yield f"{place}.start_from: {_unknown(head.start_from, old)}"
        if name in old and name not in kept:
            yield f"{place}: keep_heads leaves this head out; add it there, or rename the new head"
    for name in settings.replay:
        if name not in old:
            yield f"replay.{name}: {_unknown(name, old)}"
        elif name not in kept:
            yield f"replay.{name}: keep_heads leaves this head out; add it there"


def _problems_of_old(place: str, head: HeadSettings) -> Iterator[str]:
    """Sentences about settings that only a new head has."""
    advice = "remove it, or give the new head a name of its own"
    if head.start_from is not None:
        yield f"{place}.start_from: this head of the start model goes on as it is; {advice}"
    if "e0s" in head.model_fields_set:
        yield f"{place}.e0s: this head of the start model keeps its E0s; {advice}"


def _unknown(name: object, old: Sequence[str]) -> str:
    return (
        f"unknown head '{name}'; {nearest_to(str(name), old)}the start model has {listing(old)}; "
        "choose one of them"
    )
