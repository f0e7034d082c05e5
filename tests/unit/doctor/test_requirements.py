"""What mhff requires, and what is installed."""

from __future__ import annotations

import pytest

from mhff.doctor import requirements as module
from mhff.doctor.requirements import Requirement, numbers, requirements


def test_our_own_requirements() -> None:
    own = {each.name: each for each in requirements()}
    assert {"torch", "ase", "numpy"} <= set(own)
    assert "openmm" not in own
    assert all(each.minimum for each in own.values())
    assert {each.name for each in requirements("openmm")} == {"openmm", "mdtraj", "pymbar"}


@pytest.mark.parametrize(
    ("installed", "complaint"),
    [
        (None, "x is not installed"),
        ("1.9.3", "x 1.9.3 is older than 1.10"),
        ("1.10", ""),
        ("1.10.0+cpu", ""),
        ("2.0", ""),
    ],
)
def test_versions_are_compared_as_numbers(installed: str | None, complaint: str) -> None:
    assert Requirement("x", "1.10", installed).complaint == complaint


def test_numbers_leave_out_the_local_part() -> None:
    assert numbers("2.13.0+cu130") == (2, 13, 0)


def test_lines_of_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "a>=1.2",
        'b>=3; extra == "more"',
        "c>=4 ; extra == 'more'",
        "mhff[more]; extra == 'x'",
    ]
    monkeypatch.setattr(module, "requires", lambda name: lines)
    assert [each.name for each in requirements()] == ["a"]
    assert [(each.name, each.minimum) for each in requirements("more")] == [("b", "3"), ("c", "4")]


def test_mhff_without_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "requires", lambda name: None)
    assert list(requirements()) == []
