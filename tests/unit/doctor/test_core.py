"""The core's checks, on this machine and on machines that lack something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mhff.doctor import core
from mhff.doctor.findings import Finding
from mhff.doctor.questions import NoAnswerError
from mhff.doctor.requirements import Requirement

GPU = {"name": "NVIDIA H100", "bytes": 85e9, "capability": "9.0", "error": ""}


def only(findings: Any) -> Finding:
    (finding,) = findings
    assert isinstance(finding, Finding)
    return finding


def torch_says(monkeypatch: pytest.MonkeyPatch, **facts: Any) -> list[Finding]:
    """Findings of the check of torch if torch answers this."""
    answer = {"version": "2.13.0", "cuda": None, "threads": 2, "devices": [], **facts}
    monkeypatch.setattr(core, "ask_python", lambda code: answer)
    return list(core.torch())


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file in which an NVIDIA driver gives its version; it does not exist."""
    path = tmp_path / "version"
    monkeypatch.setattr(core, "NVIDIA_DRIVER", path)
    return path


def test_this_machine_runs_mhff() -> None:
    for check in (core.python, core.packages, core.compiler, core.cache):
        for finding in check():
            assert finding.found
            assert finding.ok or finding.mend


def test_torch_answers_here() -> None:
    import torch

    first, *gpus = core.torch()
    assert first.ok
    assert first.essential
    assert first.found.startswith(torch.__version__)
    assert len(gpus) == max(1, torch.cuda.device_count())


def test_a_broken_torch_is_essential(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(code: str) -> dict[str, Any]:
        raise NoAnswerError("ended with code 1: ImportError: libtorch")

    monkeypatch.setattr(core, "ask_python", fail)
    finding = only(core.torch())
    assert (finding.ok, finding.essential) == (False, True)
    assert finding.found == "importing torch ended with code 1: ImportError: libtorch"
    assert finding.mend


def test_a_missing_package_is_essential(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [Requirement("vesin", "0.6.2", None), Requirement("ase", "3.23", "3.22")]
    monkeypatch.setattr(core, "requirements", lambda: iter(missing))
    finding = only(core.packages())
    assert (finding.ok, finding.essential) == (False, True)
    assert finding.found == "vesin is not installed, ase 3.22 is older than 3.23"


def test_gpus(monkeypatch: pytest.MonkeyPatch, driver: Path) -> None:
    broken = {**GPU, "error": "no kernel image is available"}
    _, first, second = torch_says(monkeypatch, cuda="13.0", devices=[GPU, broken])
    assert (first.ok, first.found) == (True, "NVIDIA H100, 85 GB, compute capability 9.0")
    assert not second.ok
    assert "no kernel image is available" in second.found
    assert "compute capability 9.0" in second.mend


def test_no_gpu_needs_no_mending(monkeypatch: pytest.MonkeyPatch, driver: Path) -> None:
    _, gpu = torch_says(monkeypatch)
    assert (gpu.ok, gpu.mend) == (True, "")


@pytest.mark.parametrize(("cuda", "mend"), [(None, "built for CUDA"), ("13.0", "check nvidia-smi")])
def test_a_gpu_that_torch_does_not_see(
    monkeypatch: pytest.MonkeyPatch, driver: Path, cuda: str | None, mend: str
) -> None:
    driver.touch()
    _, gpu = torch_says(monkeypatch, cuda=cuda)
    assert not gpu.ok
    assert mend in gpu.mend


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.shutil, "which", lambda name: None)
    finding = only(core.compiler())
    assert (finding.ok, finding.essential) == (False, False)
    assert "eager form" in finding.found
    assert "apt-get install g++" in finding.mend


@pytest.mark.parametrize(("version", "ok"), [("9.4.0\n", False), ("12.2.0\n", True)])
def test_the_compiler_must_know_the_language(
    monkeypatch: pytest.MonkeyPatch, version: str, ok: bool
) -> None:
    monkeypatch.setattr(core, "ask", lambda command: version)
    monkeypatch.setattr(core.shutil, "which", lambda name: "/usr/bin/g++")
    assert only(core.compiler()).ok == ok


def test_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "mhff"
    monkeypatch.setattr(core, "cache_folder", lambda: folder)
    assert ", empty, " in only(core.cache()).found
    (folder / "kernels").mkdir(parents=True)
    (folder / "kernels/a.so").write_bytes(bytes(3_000_000))
    assert ", kernels 3 MB, " in only(core.cache()).found


def test_a_cache_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(core, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(core.os, "access", lambda path, mode: False)
    finding = only(core.cache())
    assert (finding.ok, finding.essential) == (False, False)
    assert "XDG_CACHE_HOME" in finding.mend


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(core, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(core, "MIN_FREE_BYTES", float("inf"))
    assert "free some space" in only(core.cache()).mend
