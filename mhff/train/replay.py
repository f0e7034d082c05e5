"""Replay: structures of the start model's heads that keep these heads in place."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mhff.data.reading import LabelledStructure
from mhff.data.split import Part
from mhff.errors import MHFFError, listing, located
from mhff.train.draw import at_random, farthest, with_elements
from mhff.train.headdata import HeadData, checksums, divide, read_source
from mhff.train.predictor import Predictor
from mhff.train.sections.replay import ReplaySettings
from mhff.train.selection import judge
from mhff.train.settings import Settings
from mhff.train.start import Start

Parts = dict[Part, list[LabelledStructure]]


def read_replay(
    name: str, settings: Settings, start: Start, predictor: Predictor, chemistry: Collection[str]
) -> HeadData:
    """Read, divide, draw and label the replayed structures of a head.

    `chemistry`: elements of the heads to learn. Raises MHFFError for what `read_source` refuses,
    elements that the start model does not know, and nothing to replay.
    """
    source = settings.replay[name]
    place = f"replay.{name}"
    structures, notes = read_source(name, source, place, settings)
    with located(place):
        start.check_elements(structures)
        found = start.statistics(name, start.model.elements)
        if source.needs_labels:
            structures, sentences = judge(structures, found.reference.energies, settings)
            notes += sentences
        whole = divide(structures, settings)
        parts = _drawn(whole, source, predictor, chemistry, settings.run.seed)
        notes.append(_describe(whole, parts, source))
        if not source.needs_labels:
            parts = {part: predictor.labelled(items, name) for part, items in parts.items()}
    return HeadData(name, source, found, parts, checksums(source), place, tuple(notes))


def _drawn(
    whole: Parts,
    source: ReplaySettings,
    predictor: Predictor,
    chemistry: Collection[str],
    seed: int,
) -> Parts:
    """The structures that are used; training structures as asked, the others at random."""
    parts = {part: at_random(items, source.number, seed) for part, items in whole.items()}
    parts["train"] = []
    if source.weight == 0:
        return parts
    train = whole["train"]
    if source.draw == "chemistry":
        train = with_elements(train, chemistry)
    if not train:
        raise MHFFError(_nothing(whole, source, chemistry))
    if source.draw == "farthest" and source.number is not None:
        train = farthest(train, source.number, predictor.descriptors)
    else:
        train = at_random(train, source.number, seed)
    parts["train"] = train
    return parts


def _nothing(
    whole: Mapping[Part, object], source: ReplaySettings, chemistry: Collection[str]
) -> str:
    """A sentence for no structures to replay."""
    if source.draw == "chemistry" and whole["train"]:
        return (
            f"no structure has only the elements of the heads to learn, {listing(chemistry)}; "
            "set draw to all, random or farthest"
        )
    return (
        f"there are no structures to train on in {listing(source.files)}; add some that are not "
        "isolated atoms, widen the filter, or set weight to 0 to measure errors only"
    )


def _describe(whole: Parts, parts: Parts, source: ReplaySettings) -> str:
    """A sentence about how many structures are replayed, and with which labels."""
    labels = "the files" if source.needs_labels else "the start model"
    if source.weight == 0:
        return f"not replayed (weight 0), only measured, with labels of {labels}"
    used = len(parts["train"])
    words = f"{used} of {len(whole['train'])} training structures are replayed (draw: {source.draw}"
    fewer = source.number is not None and used < source.number
    asked = f", fewer than the number {source.number}" if fewer else ""
    return f"{words}{asked}), with labels of {labels}"
