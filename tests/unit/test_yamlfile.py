"""YAML that users write: no key twice, and files that are not YAML at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from mhff.errors import MHFFError
from mhff.yamlfile import read_yaml

WITH_ANCHORS = """
default: &default {a: 1, b: 2}
merged: {<<: *default, b: 3}
again: {<<: *default}
"""


def read(folder: Path, text: str | bytes) -> object:
    path = folder / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path, "a list of heads")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: 1\nb: 2\na: 3\n", r"'.*a\.yaml': the key a appears twice, in lines 1 and 3; rename"),
        ("{a: 1, a: 1}", "the key a appears twice, in lines 1 and 1"),
        ("a: 1\n'a': 2\n", "the key a appears twice"),
        ("x:\n  - y: {deep: 1,\n      deep: 2}\n", "the key deep appears twice, in lines 2 and 3"),
    ],
)
def test_a_key_twice(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(MHFFError, match=sentence):
        read(tmp_path, text)


def test_one_key_in_several_mappings(tmp_path: Path) -> None:
    assert read(tmp_path, "a: {x: 1}\nb: {x: 2}\n") == {"a": {"x": 1}, "b": {"x": 2}}


def test_merged_mappings_may_be_overruled(tmp_path: Path) -> None:
    content = read(tmp_path, WITH_ANCHORS)
    assert isinstance(content, dict)
    assert content["merged"] == {"a": 1, "b": 3}
    assert content["again"] == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "text", ["a: [", b"\xff\xfe\x00", "a: 2001-99-99", "[" * 5000, "? [a]\n: b"]
)
def test_not_yaml(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(
        MHFFError, match=r"is not valid YAML \(.*\); expected a list of heads"
    ) as info:
        read(tmp_path, text)
    assert "\n" not in str(info.value)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match=r"no file '.*': expected a list of heads; check the path"):
        read_yaml(tmp_path, "a list of heads")
