"""YAML files that users write: no key twice, no unknown key, and one sentence for every mistake."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from mhff.errors import MHFFError, listing, located, printable


class Section(BaseModel):
    """A section of a file: unknown keys are refused, and so are NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, content: Any) -> Any:
        if isinstance(content, dict):
            check_keys(content, cls.model_fields)
        return content


def check_keys(content: dict[Any, Any], keys: Any) -> None:
    """Refuse, in a validator, a key that is not among `keys`."""
    for key in content:
        if key not in keys:
            context = {"key": str(key), "keys": listing(keys)}
            raise PydanticCustomError("unknown_key", "unknown key {key}", context)


def nested_mistake(error: ValidationError) -> PydanticCustomError:
    """The mistake inside a section that another class checks, for a validator."""
    return PydanticCustomError("nested", "{sentence}", {"sentence": mistake(error)})


def read_yaml(path: str | os.PathLike[str], expected: str) -> Any:
    """Content of a YAML file; `expected` describes it in error messages.

    Raises MHFFError for a missing or unreadable file, for invalid YAML and for a key that one
    mapping gives twice.
    """
    source = Path(path)
    if not source.is_file():
        raise MHFFError(f"no file '{source}': expected {expected}; check the path")
    try:
        with located(f"'{source}'"):
            return yaml.load(source.read_bytes(), _StrictLoader)
    except OSError as error:
        raise MHFFError(f"cannot read '{source}' ({error.strerror}); check the file") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: not UTF-8, or a scalar that only looks like a date
        reason = " ".join(str(error).split())
        raise MHFFError(f"'{source}' is not valid YAML ({reason}); expected {expected}") from error


class _StrictLoader(yaml.SafeLoader):
    """YAML itself forbids repeated keys, but PyYAML silently takes the last one."""

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name = (key.tag, key.value)
                line = key.start_mark.line + 1
                if name in lines:
                    raise MHFFError(
                        f"the key {key.value} appears twice, in lines {lines[name]} and {line}; "
                        "rename or remove one"
                    )
                lines[name] = line
        return node


def mistake(error: ValidationError) -> str:
    """The first mistake in a file: its key and the expected value, or the valid keys."""
    first = error.errors()[0]
    context = first.get("ctx", {})
    place = printable(".".join(str(part) for part in first["loc"] if part != "[key]"))
    inside = f"{place}." if place else ""
    if first["type"] == "unknown_key":
        return f"unknown key {inside}{context['key']}; the keys there are {context['keys']}"
    if first["type"] == "nested":
        return f"{inside}{context['sentence']}"
    if first["type"] == "missing":
        return f"missing key {place}; add it"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    says_it_already = first["type"] == "value_error" or isinstance(first["input"], (dict, list))
    got = "" if says_it_already else f", got {first['input']!r}"
    return f"{f'{place}: ' if place else ''}{message}{got}; correct it"
