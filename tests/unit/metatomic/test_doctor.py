"""What `mhff doctor` says about metatomic."""

from __future__ import annotations

import pytest

from mhff.doctor.requirements import Requirement
from mhff_metatomic import doctor


@pytest.mark.parametrize(
    ("installed", "ok", "found"),
    [
        (None, True, "not installed; only mhff compile --target metatomic needs it"),
        ("0.1.19", True, "metatomic-torch 0.1.19"),
        ("0.1.2", False, "metatomic-torch 0.1.2 is older than 0.1.19"),
    ],
)
def test_metatomic(
    monkeypatch: pytest.MonkeyPatch, installed: str | None, ok: bool, found: str
) -> None:
    needed = Requirement("metatomic-torch", "0.1.19", installed)
    monkeypatch.setattr(doctor, "requirements", lambda extra: iter([needed]))
    (finding,) = doctor.metatomic()
    assert (finding.ok, finding.found) == (ok, found)
