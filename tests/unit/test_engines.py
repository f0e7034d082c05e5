"""Engines: what is installed, their targets, and that naming one imports nothing of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mhff.engines import engines, target_of, unchanged
from mhff.errors import MHFFError
from mhff.options import Form


def test_an_unknown_target_names_those_that_exist() -> None:
    with pytest.raises(
        MHFFError,
        match=r"^unknown target 'gromacs': choose one of aoti, lammps, openmm, torchscript$",
    ):
        target_of("gromacs")


def test_targets_take_the_forms_that_their_engines_run() -> None:
    assert target_of("aoti").forms == (Form.AOTI,)
    assert target_of("torchscript").forms == (Form.TORCHSCRIPT,)
    for engine in engines().values():
        if engine.target is not None:
            assert engine.target.forms
            assert set(engine.forms) <= {*engine.target.forms, Form.EAGER}


def test_artefacts_for_no_engine_are_written_as_they_are() -> None:
    assert target_of("aoti").wrap(b"program") == b"program" == unchanged(b"program")


def test_an_engine_is_named_without_importing_what_it_drives() -> None:
    code = (
        "import sys\n"
        "for name in ('lammps', 'openmm', 'mdtraj', 'matplotlib', 'lightning'):\n"
        "    sys.modules[name] = None\n"
        "from mhff.engines import engines\n"
        "print(*engines())"
    )
    names = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert {"aoti", "lammps", "openmm", "torchscript"} <= set(names)
