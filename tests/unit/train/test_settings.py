"""Training configurations: paths, defaults, and one sentence for every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mhff.errors import MHFFError
from mhff.train.settings import read_settings

MINIMAL: dict[str, Any] = {"heads": {"materials": {"files": ["data/a.extxyz"]}}}


def save(folder: Path, content: Any) -> Path:
    path = folder / "config.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def test_paths_start_at_the_config_file(tmp_path: Path) -> None:
    settings = read_settings(save(tmp_path, MINIMAL | {"run": {"out": "../runs"}}))
    assert settings.heads["materials"].files == (tmp_path / "data/a.extxyz",)
    assert settings.run.out.resolve() == (tmp_path / "../runs").resolve()


def test_paths_of_a_fine_tuning_run(tmp_path: Path) -> None:
    replay = {"surfaces": {"files": ["s.extxyz"]}}
    content = MINIMAL | {"start_from": "mini", "replay": replay}
    settings = read_settings(save(tmp_path, content))
    assert settings.start_from == "mini", "the bundled model"
    assert settings.replay["surfaces"].files == (tmp_path / "s.extxyz",)
    assert list(settings.sources) == ["materials", "surfaces"]
    settings = read_settings(save(tmp_path, content | {"start_from": "m.mhff"}))
    assert settings.start_from == str(tmp_path / "m.mhff")


def test_mistakes_between_sections_are_reported_with_all_others(tmp_path: Path) -> None:
    content = "heads:\n  a: {files: []}\nlora: {rank: 0}\nfreeze: [embeding]\n"
    with pytest.raises(MHFFError) as caught:
        read_settings(save(tmp_path, content))
    lines = str(caught.value).splitlines()[1:]
    assert [line.split()[1] for line in lines] == ["2:", "3:", "3:", "4:", "4:"]


def test_the_architecture_follows_settings_and_data(tmp_path: Path) -> None:
    settings = read_settings(
        save(tmp_path, MINIMAL | {"model": {"n_channels": 8, "interaction": "residual"}})
    )
    config = settings.architecture(("H", "O"))
    assert (config.n_channels, config.elements, config.heads) == (8, ("H", "O"), ("materials",))
    assert settings.neighbours_follow_from_data
    given = read_settings(
        save(tmp_path, MINIMAL | {"model": {"elements": ["H", "C", "O"], "avg_num_neighbors": 3.0}})
    )
    config = given.architecture(("H", "O"))
    assert (config.elements, config.avg_num_neighbors) == (("H", "C", "O"), 3.0)
    assert not given.neighbours_follow_from_data


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"heads": {"a\x1b[2J": {"files": ["a.extxyz"]}}}, "one line without control characters"),
        (
            {"los": {}},
            r"config\.yaml', line 5: unknown key los; the nearest is loss, and the keys there are "
            r"name, model, start_from, keep_heads, heads, replay, .*, run$",
        ),
        (
            {"loss": {"force": 1}},
            r"unknown key loss\.force; the nearest is forces, and the keys there are kind, "
            r"energy, forces, stress, delta$",
        ),
        (
            {"model": {"channels": 8}},
            r"unknown key model\.channels; the nearest is n_channels, and the keys there are agn",
        ),
        ({"model": {"heads": ["a"]}}, r"unknown key model\.heads;"),
        (
            {"model": {"n_channels": 0}},
            r"model\.n_channels: input should be greater than .* 1, got 0; correct it$",
        ),
        (
            {"model": {"hidden_lmax": 4}},
            r"model: hidden_lmax \(4\) cannot exceed l_max \(3\); correct it$",
        ),
        (
            {"model": {"apply_cutoff": True}},
            r"apply_cutoff must be false .*: else the energy jumps at r_max",
        ),
        ({"run": {"epochs": "many"}}, r"run\.epochs: input should be a valid integer.*got 'many'"),
        ({"run": {"device": "tpu"}}, r"run\.device: .*got 'tpu'"),
        ({"heads": {}}, r"heads: "),
        ({"heads": {"a\nb": {"files": ["x"]}}}, r"heads\.a\\nb: expected one line .*; correct it$"),
        (
            {"loss": {"forces": float("inf")}},
            r"loss\.forces: input should be a finite number, got inf",
        ),
        (
            {"optimiser": {"learning_rate": float("nan")}},
            r"learning_rate: input should be .*, got nan",
        ),
        (
            {"heads": {"a": {"files": ["x"], "keys": {"charge": 3}}}},
            r"heads\.a\.keys\.charge: expected a name, a list of names or null, got 3; correct it$",
        ),
        (
            {"data": {"valid": 0.5, "test": 0.5}},
            r"data: valid \+ test must be less than 1, got 0\.5 \+ 0\.5: no structures",
        ),
        (
            {"heads": {"a": {"files": ["x"], "e0s": "average"}}},
            r"e0s: expected isolated, least_squares, reestimated, or energies by element, got 'av",
        ),
        (
            {"heads": {"a": {"files": ["x"], "e0s": {"Hx": 1}}}},
            r"heads\.a\.e0s: expected chemical symbols, got Hx; correct it$",
        ),
        (
            {"heads": {"a": {"files": ["x"], "e0s": {"H": "x", "O": float("nan")}}}},
            r"heads\.a\.e0s: expected energies in eV, got x, nan; correct it$",
        ),
        (
            {"heads": {"a": {"files": ["x"], "filter": {"elements": ["Hx"], "max_atoms": 5}}}},
            r"heads\.a\.filter\.elements: expected chemical symbols, got Hx; correct it$",
        ),
        (
            {"data": {"suspicious": "drop"}},
            r"data\.suspicious: input should be 'keep' or",
        ),
        ({"heads": {"a": {}}}, r"missing key heads\.a\.files; add it"),
        (
            {"heads": {"a": {"files": ["x"], "weigth": 2}}},
            r"unknown key heads\.a\.weigth; the nearest is weight, .*files, keys, filter, weight",
        ),
        ({"replay": {"a": {"files": ["x"]}}}, "replay: found replay, which needs a model to start"),
        ({"freeze": ["embedding"]}, "freeze: found freeze, which needs a model to start from; add"),
        (
            {"lora": {"rank": 2}},
            "lora: found lora, which needs a model to start from; add start_from",
        ),
        ({"keep_heads": ["a"]}, "keep_heads: found keep_heads, which needs a model to start"),
        (
            {"heads": {"a": {"files": ["x"], "start_from": "b"}}},
            r"heads\.a\.start_from: found the head b, which needs a model to start from; add",
        ),
        (
            {"heads": {"a": {"files": ["x"], "e0s": "reestimated"}}},
            r"heads\.a\.e0s: found reestimated, which needs a model to start from; add",
        ),
        (
            {"start_from": "mini", "model": {"r_max": 5.0}},
            "model: start_from and model exclude each other, because the start model's",
        ),
        (
            {"start_from": "mini", "replay": {"materials": {"files": ["x"]}}},
            r"line 6: replay\.materials: the head materials is also in heads, where it learns more",
        ),
        (
            {"start_from": "mini", "freeze": ["product.0"]},
            r"freeze: unknown part product\.0; the nearest is products, and the parts are emb",
        ),
        ({"start_from": "mini", "freeze": ["embedding.0"]}, r"freeze: unknown part embedding\.0"),
        (
            {"start_from": "mini", "replay": {"a": {"files": ["x"], "draw": "farthest"}}},
            r"replay\.a: draw: farthest needs a number of structures; add number",
        ),
        (
            {"start_from": "mini", "replay": {"a": {"files": ["x"], "number": 3}}},
            r"replay\.a: draw: all takes every structure and no number; remove number",
        ),
        (
            {"start_from": "mini", "replay": {"a": {"files": ["x"], "labels": "start"}}},
            r"replay\.a\.labels: input should be 'file' or 'model', got 'start'",
        ),
        (
            {"heads": {"a": {"files": ["x"], "keys": {"e": "E"}}}},
            r"unknown key heads\.a\.keys\.e; .*forces, stress, virials, head, charge, spin$",
        ),
    ],
)
def test_mistakes(tmp_path: Path, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MHFFError, match=sentence) as caught:
        read_settings(save(tmp_path, MINIMAL | change))
    assert "\n" not in str(caught.value)


def test_all_mistakes_at_once_each_with_its_line(tmp_path: Path) -> None:
    content = """
heads:
  materials:
    files: [a.extxyz]
    weigth: 2
    keys: {xyz: E, charge: 3}
  molecules: {weight: -1}
model:
  channels: 8
  n_layers: 0
lr: 0.1
run:
  device: tpu
  batch_size: 0
"""
    with pytest.raises(MHFFError) as caught:
        read_settings(save(tmp_path, content))
    title, *lines = str(caught.value).splitlines()
    assert title.endswith("config.yaml' has 10 mistakes:")
    beginnings = [
        "line 5: unknown key heads.materials.weigth; the nearest is weight, and the keys there",
        "line 6: unknown key heads.materials.keys.xyz; the keys there are energy, forces",
        "line 6: heads.materials.keys.charge: expected a name, a list of names or null, got 3;",
        "line 7: missing key heads.molecules.files; add it",
        "line 7: heads.molecules.weight: input should be greater than 0, got -1; correct it",
        "line 9: unknown key model.channels; the nearest is n_channels, and the keys there are",
        "line 10: model.n_layers: input should be greater than or equal to 1, got 0; correct it",
        "line 11: unknown key lr; the nearest is lora, and the keys there are name",
        "line 13: run.device: string should match pattern",
        "line 14: run.batch_size: input should be greater than or equal to 1, got 0; correct it",
    ]
    for line, beginning in zip(lines, beginnings, strict=True):
        assert line.startswith(f"  {beginning}")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("heads: [", "is not valid YAML"),
        ("- a\n- b\n", "expected the sections name, model, start_from"),
        ("", "expected the sections"),
        ("run: {seed: 2001-99-99}", "is not valid YAML"),
        (
            "heads:\n  a: {files: [x]}\n  b: {files: [y]}\n  a: {files: [z]}\n",
            "the key a appears twice, in lines 2 and 4; rename or remove one",
        ),
    ],
)
def test_not_a_configuration(tmp_path: Path, content: str, sentence: str) -> None:
    with pytest.raises(MHFFError, match=sentence):
        read_settings(save(tmp_path, content))


def test_no_file() -> None:
    with pytest.raises(MHFFError, match=r"no file 'nowhere\.yaml'"):
        read_settings("nowhere.yaml")
