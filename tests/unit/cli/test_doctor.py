"""`mhff doctor`: a report, JSON, and an exit code."""

from __future__ import annotations

import json

import pytest
from command_line import Here, output_of

from mhff.doctor import findings
from mhff.doctor.findings import Finding

FINE = Finding("torch", True, "2.13.0", essential=True)
LACKING = Finding("lmp [1]", False, "no lmp", "make lammps")
BROKEN = Finding("packages", False, "ase is not installed", "pip install ase", essential=True)


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """The findings of the machine, to be filled."""
    found: list[Finding] = []
    monkeypatch.setattr(findings, "examine", lambda: found)
    return found


def test_a_machine_without_faults(mhff: Here, examined: list[Finding]) -> None:
    examined.append(FINE)
    assert " ".join(output_of(mhff("doctor")).split()) == "ok torch 2.13.0 mhff can run here"


def test_what_is_lacking_does_not_fail(mhff: Here, examined: list[Finding]) -> None:
    examined += [FINE, LACKING]
    output = output_of(mhff("doctor"))
    assert "lmp [1]" in output
    assert "-> make lammps" in output
    assert "mhff can run here, except with what is lacking" in output


def test_what_is_essential_fails(mhff: Here, examined: list[Finding]) -> None:
    examined += [FINE, LACKING, BROKEN]
    done = mhff("doctor")
    assert done.returncode == 1
    assert "mhff cannot run here" in done.stdout


@pytest.mark.parametrize("broken", [False, True])
def test_json(mhff: Here, examined: list[Finding], broken: bool) -> None:
    examined += [LACKING, *([BROKEN] if broken else [])]
    done = mhff("doctor", "--json")
    assert done.returncode == int(broken)
    first, *_ = json.loads(done.stdout)
    assert first == {
        "name": "lmp [1]",
        "ok": False,
        "found": "no lmp",
        "mend": "make lammps",
        "essential": False,
    }
