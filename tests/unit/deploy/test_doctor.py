"""What `mhff doctor` says about compiling."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mhff_deploy import doctor


def test_programs_in_the_cache_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder, names in (
        ("artefacts", ["a.pt2", "b.pt"]),
        ("code", ["d.pt2", "e.json"]),
        ("kernels", ["c.so"]),
    ):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
        function = f"{folder.removesuffix('s')}_folder"
        monkeypatch.setattr(doctor, function, partial(Path, tmp_path, folder))
    (tmp_path / "kernels/build-1").mkdir()
    (finding,) = doctor.programs()
    assert finding.found == (
        "2 compiled programs, 1 known architectures, 1 libraries of kernels in the cache"
    )


@pytest.mark.parametrize(
    ("version", "has_gpu", "ok"), [("3.7", False, True), (None, False, True), (None, True, False)]
)
def test_triton_matters_only_for_a_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str | None, has_gpu: bool, ok: bool
) -> None:
    driver = tmp_path if has_gpu else tmp_path / "none"
    monkeypatch.setattr(doctor, "NVIDIA_DRIVER", driver)
    monkeypatch.setattr(doctor, "installed_version", lambda name: version)
    (finding,) = doctor.triton()
    assert (finding.ok, bool(finding.mend)) == (ok, not ok)
