"""What decides a run: settings and data, not places; older fingerprints have today's defaults."""

from __future__ import annotations

from pathlib import Path

import yaml

from mhff.train.fingerprint import Fingerprint, completed, differences, fingerprint
from mhff.train.settings import Settings, read_settings

CHECKSUMS = {"a": {"a.xyz": "1" * 64}}


def settings(folder: Path, **run: object) -> Settings:
    content = {"heads": {"a": {"files": ["a.xyz"]}}, "run": run}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return read_settings(folder / "config.yaml")


def made(folder: Path, **run: object) -> Fingerprint:
    return fingerprint(settings(folder, **run), CHECKSUMS)


def test_places_and_devices_do_not_count(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    before = made(tmp_path, out="here", device="cpu", kernels=True)
    assert differences(before, made(other, out="there", device="cuda", kernels=False)) == []


def test_settings_and_data_count(tmp_path: Path) -> None:
    now = fingerprint(settings(tmp_path, seed=2), {"a": {"a.xyz": "2" * 64}})
    assert differences(made(tmp_path, seed=1), now) == [
        f"heads.a.files.a.xyz was {'1' * 64}, now {'2' * 64}",
        "run.seed was 1, now 2",
    ]


def test_the_start_model_and_replayed_files_count(tmp_path: Path) -> None:
    head = {"files": ["a.xyz"]}
    content = {"start_from": "mini", "heads": {"a": head}, "replay": {"b": head}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    own = read_settings(tmp_path / "config.yaml")
    before = fingerprint(own, CHECKSUMS | {"b": {"b.xyz": "2" * 64}}, "3" * 64)
    now = fingerprint(own, CHECKSUMS | {"b": {"b.xyz": "4" * 64}}, "5" * 64)
    assert completed(before) == before
    assert differences(before, now) == [
        f"replay.b.files.b.xyz was {'2' * 64}, now {'4' * 64}",
        f"start_from was {'3' * 64}, now {'5' * 64}",
    ]


def test_settings_that_are_younger_than_a_run_have_their_defaults(tmp_path: Path) -> None:
    old = made(tmp_path)
    del old["heads"]["a"]["keys"]["charge"], old["heads"]["a"]["keys"]["virials"]
    assert differences(old, made(tmp_path)) == []
    assert completed(old) == made(tmp_path)


def test_a_fingerprint_that_the_settings_cannot_read(tmp_path: Path) -> None:
    old = {**made(tmp_path), "gone": {"setting": 1}}
    assert differences(old, made(tmp_path)) == ["gone.setting was 1, now absent"]
