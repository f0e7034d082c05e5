"""YAML files that users write: no key twice, no unknown key, and one sentence for every mistake.

One exception lists all mistakes of a file, each with its line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from mhff.errors import MHFFError, listing, located, nearest_to, printable

UNKNOWN_KEY = "unknown_key"
"""Type of the errors for unknown keys."""
Mistake = tuple[tuple[str, ...], str]
"""The keys that lead to a mistake, and a sentence without its end."""


class Section(BaseModel):
    """A section of a file: unknown keys are refused, and so are NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _known_keys(cls, content: Any, build: Callable[[Any], Any]) -> Any:
        if isinstance(content, dict):
            return with_known_keys(content, cls.model_fields, build)
        return build(content)


def with_known_keys(
    content: dict[Any, Any], keys: Iterable[str], build: Callable[[dict[Any, Any]], Any]
) -> Any:
    """Build something from the known keys, in a validator.

    Raises one ValidationError for all unknown keys and for all mistakes that `build` finds.
    """
    valid = tuple(keys)
    known = {key: value for key, value in content.items() if key in valid}
    unknown = [_unknown_key(str(key), valid) for key in content if key not in valid]
    return _with_lines(unknown, lambda: build(known))


def with_mistakes(found: Iterable[Mistake], build: Callable[[], Any]) -> Any:
    """Build something in a validator, and raise one ValidationError for all mistakes.

    These are the mistakes found before, and those that `build` finds.
    """
    lines = [
        InitErrorDetails(
            type=PydanticCustomError("value_error", "{message}", {"message": message}),
            loc=loc,
            input=None,
        )
        for loc, message in found
    ]
    return _with_lines(lines, build)


def _with_lines(lines: list[InitErrorDetails], build: Callable[[], Any]) -> Any:
    """Build something; raises one ValidationError for the lines and all that `build` finds."""
    try:
        result = build()
    except ValidationError as error:
        lines = [*lines, *map(_copy, error.errors(include_url=False))]
    if lines:
        raise ValidationError.from_exception_data("section", lines)
    return result


def _unknown_key(key: str, valid: tuple[str, ...]) -> InitErrorDetails:
    context = {"advice": f"{nearest_to(key, valid)}the keys there are {listing(valid)}"}
    kind = PydanticCustomError(UNKNOWN_KEY, "{advice}", context)
    return InitErrorDetails(type=kind, loc=(key,), input=None)


def _copy(line: ErrorDetails) -> InitErrorDetails:
    """One mistake, to be raised again; its message is final."""
    kind = PydanticCustomError(line["type"], "{message}", {"message": line["msg"]})
    return InitErrorDetails(type=kind, loc=line["loc"], input=line["input"])


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


class Places:
    """The lines of the keys in a YAML file that `read_yaml` accepts."""

    def __init__(self, path: Path) -> None:
        self._root = yaml.compose(path.read_bytes(), _StrictLoader)

    def line(self, loc: Sequence[object]) -> int | None:
        """Line of a key or list entry, else of the section that lacks it; None at the top."""
        node = self._root
        line = None
        for name in map(str, loc):
            child = _child(node, name)
            if child is None:
                break
            start, node = child
            line = start.start_mark.line + 1
        return line


def _child(node: Any, name: str) -> tuple[Any, Any] | None:
    """The nodes of a key and of its value; for lists, of an entry."""
    if isinstance(node, yaml.MappingNode):
        return next((pair for pair in node.value if pair[0].value == name), None)
    if isinstance(node, yaml.SequenceNode) and name.isdecimal() and int(name) < len(node.value):
        return node.value[int(name)], node.value[int(name)]
    return None


def mistakes(error: ValidationError, path: Path) -> MHFFError:
    """An exception for all mistakes in a file, in its order: a sentence, or a line for each."""
    places = Places(path)
    found = []
    for line in error.errors(include_url=False):
        loc = [part for part in line["loc"] if part != "[key]"]
        number = places.line(loc)
        sentence = _sentence(line, printable(".".join(map(str, loc))))
        found.append((number or 0, f"line {number}: {sentence}" if number else sentence))
    sentences = [sentence for _, sentence in sorted(found, key=lambda item: item[0])]
    if len(sentences) == 1:
        return MHFFError(
            f"'{path}', {sentences[0]}" if found[0][0] else f"'{path}': {sentences[0]}"
        )
    return MHFFError("\n  ".join([f"'{path}' has {len(sentences)} mistakes:", *sentences]))


def _sentence(line: ErrorDetails, place: str) -> str:
    """One mistake: its key and the expected value, or the valid keys."""
    if line["type"] == UNKNOWN_KEY:
        return f"unknown key {place}; {line['msg']}"
    if line["type"] == "missing":
        return f"missing key {place}; add it"
    message = line["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    says_it_already = line["type"] == "value_error" or isinstance(line["input"], (dict, list))
    got = "" if says_it_already else f", got {line['input']!r}"
    return f"{f'{place}: ' if place else ''}{message}{got}; correct it"
