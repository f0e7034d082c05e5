"""What `mhff doctor` says about OpenMM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mhff.doctor.questions import NoAnswerError
from mhff.doctor.requirements import Requirement
from mhff_openmm import doctor, plugin

HERE = Requirement("openmm", "8.6", "8.6.1")
FACTS = {"platforms": ["Reference", "CPU"], "failures": [], "python_force": True}


def openmm_says(monkeypatch: pytest.MonkeyPatch, needed: Requirement, **facts: Any) -> list[Any]:
    """Findings if this version is installed and OpenMM answers this."""

    def required(extra: str) -> Iterator[Requirement]:
        assert extra == "openmm"
        return iter([needed])

    monkeypatch.setattr(doctor, "requirements", required)
    monkeypatch.setattr(doctor, "ask_python", lambda code: {**FACTS, **facts})
    return list(doctor.openmm())


def test_openmm_here() -> None:
    pytest.importorskip("openmm")
    first, platforms = doctor.openmm()
    assert first.ok, first
    assert "Reference" in platforms.found


def test_a_whole_openmm(monkeypatch: pytest.MonkeyPatch) -> None:
    first, platforms = openmm_says(monkeypatch, HERE)
    assert (first.ok, first.found) == (True, "openmm 8.6.1")
    assert (platforms.ok, platforms.found) == (True, "Reference, CPU")


@pytest.mark.parametrize(
    ("installed", "found"),
    [(None, "openmm: not installed"), ("8.1", "openmm 8.1 is older than 8.6")],
)
def test_no_openmm_and_an_old_one(
    monkeypatch: pytest.MonkeyPatch, installed: str | None, found: str
) -> None:
    (finding,) = openmm_says(monkeypatch, HERE._replace(installed=installed))
    assert (finding.ok, finding.found, finding.essential) == (False, found, False)
    assert "mhff[openmm]" in finding.mend


def test_an_openmm_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(code: str) -> dict[str, Any]:
        raise NoAnswerError("was ended by signal 11")

    monkeypatch.setattr(doctor, "requirements", lambda extra: iter([HERE]))
    monkeypatch.setattr(doctor, "ask_python", fail)
    (finding,) = doctor.openmm()
    assert finding.found == "openmm 8.6.1; importing openmm was ended by signal 11"


NO_LIBRARY = "Error loading library /a/libOpenMMCUDA.so: {}: cannot open shared object file: No"


@pytest.mark.parametrize("has_gpu", [False, True])
def test_plug_ins_for_gpus_that_do_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, has_gpu: bool
) -> None:
    monkeypatch.setattr(doctor, "NVIDIA_DRIVER", tmp_path if has_gpu else tmp_path / "none")
    failures = [NO_LIBRARY.format(name) for name in ("libcuda.so.1", "libOpenMMCUDA.so")]
    _, platforms = openmm_says(monkeypatch, HERE, failures=failures)
    assert platforms.found == "Reference, CPU; some plug-ins do not load: libcuda.so.1"
    assert (platforms.ok, bool(platforms.mend)) == (not has_gpu, has_gpu)


def test_a_plug_in_that_fails_for_another_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    _, platforms = openmm_says(monkeypatch, HERE, failures=["Error loading\n a.so: bad symbol"])
    assert not platforms.ok
    assert "Error loading a.so: bad symbol" in platforms.found


def test_an_openmm_without_our_force(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = openmm_says(monkeypatch, HERE, python_force=False)
    assert (first.ok, first.found) == (False, "openmm 8.6.1 has no PythonForce")


@pytest.mark.parametrize(
    ("version", "found", "ok"),
    [
        (None, "not installed; only openmmml.MLPotential needs it", True),
        ("1.8", "1.8", True),
        ("1.7", "openmmml 1.7 is older than 1.8", False),
    ],
)
def test_versions_of_openmmml(
    monkeypatch: pytest.MonkeyPatch, version: str | None, found: str, ok: bool
) -> None:
    monkeypatch.setattr(doctor, "installed_version", lambda name: version)
    (finding,) = doctor.openmmml()
    assert (finding.found, finding.ok) == (found, ok)


def plugin_says(
    monkeypatch: pytest.MonkeyPatch, found: plugin.Distribution | None, reason: str = ""
) -> Any:
    """The finding if this distribution of openmm-torch is installed."""
    monkeypatch.setattr(plugin, "installed_distribution", lambda: found)
    monkeypatch.setattr(plugin, "why_not_installed", lambda: reason)
    (finding,) = doctor.openmm_torch()
    return finding


ONE_FIVE = plugin.Distribution("openmmtorch", "1.5")


def test_no_plug_in_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = plugin_says(monkeypatch, None)
    assert (finding.ok, finding.found[:13]) == (True, "not installed")


def test_a_plug_in_that_crashes_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    finding = plugin_says(monkeypatch, ONE_FIVE, "because A and B crash; install OpenMM 8.5")
    assert (finding.ok, finding.found) == (False, "A and B crash")
    assert finding.mend == "install OpenMM 8.5; backend 'python' works"


def test_a_plug_in_that_works_and_one_that_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ask_python", lambda code: {"torch": "2.9.1+cu128"})
    finding = plugin_says(monkeypatch, ONE_FIVE)
    assert (finding.ok, finding.found) == (
        True,
        "openmmtorch 1.5 with torch 2.9.1+cu128, TorchForce works",
    )

    def fail(code: str) -> dict[str, Any]:
        raise NoAnswerError("was ended by signal 11")

    monkeypatch.setattr(doctor, "ask_python", fail)
    finding = plugin_says(monkeypatch, ONE_FIVE)
    assert not finding.ok
    assert "evaluating and copying a TorchForce was ended by signal 11" in finding.found
    assert "torch 2.9" in finding.mend
