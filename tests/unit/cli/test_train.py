"""`mhff train`: a run from its configuration, and one sentence for every mistake."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from command_line import Here, here, output_of, refusal_of
from labelled import write_data
from tiny_runs import CONTENT

from mhff.modelfile import load
from mhff.train.run import Run
from mhff.train.settings import read_settings

MODEL = CONTENT["model"]

mhff = pytest.fixture(here)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_data(tmp_path, "loose", 12)
    content = {
        "name": "tiny",
        "model": MODEL,
        "heads": {"loose": {"files": ["loose.extxyz"]}},
        "data": {"valid": 0.3},
        "run": {"out": "run", "epochs": 2, "kernels": False},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    return tmp_path / "config.yaml"


def test_a_run_and_the_same_command_again(mhff: Here, config: Path) -> None:
    said = output_of(mhff("train", config))
    assert "head loose: 12 structures" in said
    assert re.search(r"epoch +1, validation errors:  loose \d", said)
    assert "errors, train" in said
    assert "epoch 3" not in said
    model = config.parent / "run/tiny.mhff"
    assert said.endswith(f"wrote {model}, report.html, report.json and report.csv beside it\n")
    assert load(model).heads.names == ("loose",)
    assert "is finished; --restart starts it anew" in output_of(mhff("train", config))
    assert "is finished" not in output_of(mhff("train", config, "--restart"))


def test_a_dry_run_prints_the_plan_and_writes_nothing(mhff: Here, config: Path) -> None:
    said = output_of(mhff("train", config, "--dry-run"))
    found = re.search(r"head loose: 12 structures \((\d+) train, ", said)
    assert found
    for line in (
        "head loose: E0s of isolated atoms, eV: H -1.0000, O -20.0000",
        "head loose: elements: train H, O; valid H, O; test ",
        "model: elements H, O; r_max 3 A; ",
    ):
        assert line in said
    network = Run(read_settings(config)).network
    assert f"trained: {sum(each.numel() for each in network.parameters()):,} weights" in said
    per_epoch = -(-int(found[1]) // 8)
    assert f"time: {2 * per_epoch} steps (2 epochs of {per_epoch}), " in said
    assert re.search(r"memory: \d+\.\d+ GiB in the largest batch", said)
    assert not (config.parent / "run").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is not a training configuration: expected the sections name, model, start_from"),
        ("heads: [", "is not valid YAML"),
        ("heads: {a: {files: [nowhere.xyz]}}", "no file '.*nowhere.xyz'"),
        ("heads: {a: {files: [config.yaml]}}", "cannot read structures from '.*config.yaml'"),
        ("heads: {a: {files: [x]}}\nheads: {}", "the key heads appears twice, in lines 1 and 2"),
        (
            "heads: {loose: {files: [loose.extxyz]}}\nrun: {out: config.yaml}",
            "cannot write .*choose .* run.out",
        ),
        ("heads: {tight: {files: [loose.extxyz]}}", "structure 1 of .* belongs to head 'loose'"),
    ],
)
def test_mistakes(mhff: Here, config: Path, text: str, sentence: str) -> None:
    config.write_text(text)
    assert re.search(sentence, refusal_of(mhff("train", config)))


def test_all_missing_files_at_once(mhff: Here, config: Path) -> None:
    config.write_text("heads: {a: {files: [x.xyz, y.xyz]}, b: {files: ['z*.xyz']}}")
    done = mhff("train", config)
    assert done.returncode == 2
    assert "heads.a.files: no file" in done.stderr
    assert "y.xyz'" in done.stderr
    assert "heads.b.files: no file matches" in done.stderr


def test_no_configuration(mhff: Here, tmp_path: Path) -> None:
    refusal = refusal_of(mhff("train", tmp_path / "nowhere.yaml"))
    assert re.search("no file '.*nowhere.yaml': expected a training configuration", refusal)
