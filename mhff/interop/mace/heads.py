"""Descriptions of an imported model's heads, from the published models and from the user.

The user has the last word.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from mhff.errors import MHFFError, listing
from mhff.files import StrPath
from mhff.heads import Head, Note
from mhff.interop.mace.published import recognise
from mhff.model.config import ModelConfig
from mhff.yamlfile import read_yaml

EXAMPLE = (
    "heads: {NAME: {level_of_theory: PBE, dispersion: false, domain: crystals, licence: MIT, "
    "citation: ...}}"
)


class HeadEntry(BaseModel):
    """A user's description of one head; omitted fields keep their values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level_of_theory: Note | None = None
    dispersion: bool | None = None
    domain: Note | None = None
    elements: tuple[str, ...] | None = None
    licence: Note | None = None
    citation: Note | None = None


class HeadFile(HeadEntry):
    """Content of a `--head-info` file: fields for all heads, and for single ones under `heads`."""

    heads: dict[str, HeadEntry] = {}


@dataclass(frozen=True)
class HeadInfo:
    """The heads of an imported model."""

    heads: tuple[Head, ...]
    published_as: str | None
    """Name of the published model, if it is one that is known."""


def describe_heads(config: ModelConfig, head_info: StrPath | None = None) -> HeadInfo:
    """Heads in the model's order.

    Raises MHFFError for a `head_info` file that is not YAML with the fields of `HeadFile`.
    """
    published = recognise(config)
    heads = published.heads if published else tuple(Head(name=name) for name in config.heads)
    if head_info is not None:
        given = read_head_info(head_info, config)
        heads = tuple(
            _overruled(_overruled(head, given), given.heads.get(head.name, HeadEntry()))
            for head in heads
        )
    return HeadInfo(heads, published.name if published else None)


def _overruled(head: Head, entry: HeadEntry) -> Head:
    given = entry.model_dump(exclude_none=True, exclude={"heads"})
    return head.model_copy(update=given)


def read_head_info(path: StrPath, config: ModelConfig) -> HeadFile:
    """The content of a `--head-info` file, checked against the model's heads and elements."""
    source = Path(path)
    try:
        found = HeadFile.model_validate(read_yaml(source, f"YAML such as {EXAMPLE}"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise MHFFError(
            f"'{source}': {place}: {first['msg'].lower()}; write it as {EXAMPLE}"
        ) from error
    unknown = sorted(set(found.heads) - set(config.heads))
    if unknown:
        raise MHFFError(
            f"'{source}' describes {listing(unknown)}, but this model has the heads "
            f"{listing(config.heads)}"
        )
    for entry in (found, *found.heads.values()):
        strange = sorted(set(entry.elements or ()) - set(config.elements))
        if strange:
            raise MHFFError(
                f"'{source}' names the elements {listing(strange)}, which this model lacks; leave "
                "them out"
            )
    return found
