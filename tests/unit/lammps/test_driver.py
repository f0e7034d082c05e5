"""Python drivers read files of mhff and nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from manifests import empty_artefact

from mhff.errors import MHFFError
from mhff_lammps.driver import read_model
from mhff_lammps.filekind import wrap


def test_a_file_of_mhff_is_read(tmp_path: Path) -> None:
    file = tmp_path / "model.mliap"
    file.write_bytes(wrap(empty_artefact()))
    assert read_model(file).element_types[:2] == ["H", "O"]


@pytest.mark.parametrize(
    "content",
    [b"", b"text", pickle.dumps(print), pickle.dumps({}), wrap(empty_artefact())[:-20]],
    ids=["empty", "text", "function", "dictionary", "truncated"],
)
def test_other_files_are_refused_and_run_nothing(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(MHFFError, match="not a file of mhff compile --target lammps"):
        read_model(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match=r"no file .*: make one with mhff compile MODEL"):
        read_model(tmp_path / "other")
