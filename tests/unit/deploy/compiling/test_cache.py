"""The cache of programs: made once for each content, and again where a file is damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from manifests import empty_artefact
from models import tiny_model
from programs import options

from mhff import Model
from mhff.options import CompleteOptions
from mhff_deploy.artefact.content import read_manifest
from mhff_deploy.compiling import cache
from mhff_deploy.compiling.cache import compiled, find_program
from mhff_deploy.compiling.source import sources

ASKED = options(precision="float64", form="torchscript")
OTHERS = {
    "head": "surfaces",
    "precision": "float32",
    "form": "aoti",
    "table_error": 1e-3,
    "elements": ("O",),
    "isa": "x86-64-v3",
    "mix": ("screened=0.7*materials+0.3*surfaces",),
}
"""Options that make another program."""


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_model()


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[CompleteOptions]:
    """What the compiler was asked for; it gives artefacts at once, which cannot run."""
    asked: list[CompleteOptions] = []

    def build(model: Model, options: CompleteOptions, target: str, say: Any) -> tuple[bytes, None]:
        asked.append(options)
        say("compiling")
        return empty_artefact(), None

    monkeypatch.setattr(cache, "build", build)
    return asked


def test_a_program_is_compiled_once(
    model: Model, built: list[CompleteOptions], tmp_path: Path
) -> None:
    steps: list[str] = []
    first = compiled(model, ASKED, say=steps.append, folder=tmp_path)
    assert steps == ["compiling"]
    assert compiled(model, ASKED, say=steps.append, folder=tmp_path) == first
    assert len(steps) == len(built) == 1
    assert list(tmp_path.iterdir()) == [first]


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("name", OTHERS)
def test_every_option_makes_another_program(model: Model, tmp_path: Path, name: str) -> None:
    first = compiled(model, ASKED, folder=tmp_path)
    other = ASKED.but(**{name: OTHERS[name]})
    assert find_program(model, other, folder=tmp_path) is None
    assert compiled(model, other, folder=tmp_path) != first
    assert find_program(model, ASKED, folder=tmp_path) == first


@pytest.mark.usefixtures("built")
def test_every_model_has_its_own_program(model: Model, tmp_path: Path) -> None:
    first = compiled(model, ASKED, folder=tmp_path)
    other = tiny_model(seed=1)
    assert find_program(other, ASKED, folder=tmp_path) is None
    assert compiled(other, ASKED, folder=tmp_path) != first


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:-1],
        lambda content: content.replace(b"no program", b"no Program"),
        lambda content: b"something else",
    ],
    ids=["empty", "half", "one byte short", "a changed byte", "foreign"],
)
def test_a_damaged_program_is_made_again(
    model: Model,
    built: list[CompleteOptions],
    tmp_path: Path,
    damage: Callable[[bytes], bytes],
) -> None:
    """Damaged files were never made again: every later run failed."""
    path = compiled(model, ASKED, folder=tmp_path)
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert find_program(model, ASKED, folder=tmp_path) is None
    assert compiled(model, ASKED, folder=tmp_path) == path
    # the bytes differ in the time that an archive keeps of its members
    assert read_manifest(path.read_bytes(), path) == read_manifest(whole, path)
    assert len(built) == 2


def test_programs_for_cpus_are_made_for_all_elements(
    model: Model, built: list[CompleteOptions], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cache, "MAX_TABLE_BYTES", 0)
    compiled(model, ASKED, used=["Mg", "O"], folder=tmp_path)
    assert find_program(model, ASKED, ["H"], folder=tmp_path) is not None
    assert [asked.elements for asked in built] == [None]


def test_large_tables_of_programs_for_gpus_are_made_for_the_elements_in_use(
    model: Model,
    built: list[CompleteOptions],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(cache, "resolve_device", lambda name: torch.device("cuda"))
    compiled(model, ASKED, used=["Mg", "O"], folder=tmp_path)
    monkeypatch.setattr(cache, "MAX_TABLE_BYTES", 0)
    compiled(model, ASKED, used=["Mg", "O"], folder=tmp_path)
    compiled(model, ASKED.but(elements=("H", "O")), used=["O"], folder=tmp_path)
    assert [asked.elements for asked in built] == [None, ("O", "Mg"), ("H", "O")]
    assert find_program(model, ASKED, ["O", "Mg"], folder=tmp_path) is not None
    assert find_program(model, ASKED, ["O"], folder=tmp_path) is None


def test_gpus_of_a_kind_share_a_program(
    model: Model, built: list[CompleteOptions], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kinds = {"cuda": "sm_90", "cuda:1": "sm_90", "cuda:2": "sm_80"}
    monkeypatch.setattr(cache, "processor", lambda device: kinds[device])
    paths = [compiled(model, ASKED.but(device=device), folder=tmp_path) for device in kinds]
    assert paths[0] == paths[1] != paths[2]
    assert [asked.device for asked in built] == ["cuda", "cuda:2"]


def test_the_code_of_programs_and_of_their_inputs_is_in_the_key() -> None:
    names = {path.name for path in sources()}
    assert {"graph.py", "neighbours.py", "mace.py", "operators.h", "trace.py"} <= names
    assert all(path.is_file() for path in sources())
