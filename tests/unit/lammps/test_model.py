"""The file for LAMMPS: what it holds, how it is read, what is refused."""

from __future__ import annotations

import hashlib
import pickle
import pickletools
from types import SimpleNamespace
from typing import Any

import pytest
from manifests import empty_artefact

from mhff.errors import MHFFError
from mhff_lammps.filekind import wrap
from mhff_lammps.model import MHFFModel


def test_file_holds_one_class_and_what_lammps_asks_for(capsys: pytest.CaptureFixture[str]) -> None:
    content = wrap(empty_artefact())
    model = pickle.loads(content)
    strings = [
        argument for _, argument, _ in pickletools.genops(content) if isinstance(argument, str)
    ]
    assert strings[:2] == ["mhff_lammps.model", "MHFFModel"]
    assert model.element_types == ["H", "O", "H@bulk", "O@bulk", "H@gas", "O@gas"]
    assert (model.ndescriptors, model.nparams, 2 * model.rcutfac) == (1, 1, 4.5)
    assert "heads bulk gas (default gas)" in capsys.readouterr().out


def test_model_survives_being_pickled_while_lammps_holds_it() -> None:
    model = MHFFModel(empty_artefact())
    model.interface = SimpleNamespace(cannot_be_pickled=lambda: None)
    model.lammps = model.interface
    copy = pickle.loads(pickle.dumps(model))
    assert copy.interface is None
    assert copy.lammps is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format_version": 2}, "has format version 2, but this mhff reads version 1"),
        ({"artefact": b"other"}, "is damaged: its checksum does not match its content"),
        ({"artefact": b"x", "sha256": hashlib.sha256(b"x").hexdigest()}, "not an artefact"),
    ],
    ids=["newer", "damaged", "foreign"],
)
def test_damaged_and_newer_files_are_refused(change: dict[str, Any], sentence: str) -> None:
    state = MHFFModel(empty_artefact()).__getstate__() | change
    with pytest.raises(MHFFError, match=sentence):
        MHFFModel.__new__(MHFFModel).__setstate__(state)
