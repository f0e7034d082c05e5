"""Engines: what is installed, their targets, and that naming one imports nothing of it."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from mhff.engines import AdapterClock, engines, target_of, unchanged
from mhff.errors import MHFFError
from mhff.options import Form


def test_an_unknown_target_names_those_that_exist() -> None:
    with pytest.raises(
        MHFFError,
        match=r"^unknown target 'gromacs': choose one of aoti, lammps, metatomic, openmm, "
        r"torchscript$",
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
        "for name in ('lammps', 'openmm', 'metatomic', 'mdtraj', 'matplotlib', 'lightning'):\n"
        "    sys.modules[name] = None\n"
        "from mhff.engines import engines\n"
        "print(*engines())"
    )
    names = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert {"aoti", "lammps", "metatomic", "openmm", "torchscript"} <= set(names)


class Slow:
    """An adapter and its program in one; a step takes 0.02 s, of which the program 0.015 s."""

    name = "slow"

    def evaluate(self, seconds: float) -> str:
        time.sleep(seconds)
        return "result"


class SlowAdapter:
    def __init__(self) -> None:
        self.evaluator = Slow()

    def compute(self, fails: bool = False) -> str:
        time.sleep(0.005)
        result = self.evaluator.evaluate(0.015)
        if fails:
            raise ValueError("failed")
        return result


def test_the_clock_of_an_adapter_leaves_its_program_out() -> None:
    adapter = SlowAdapter()
    clock = AdapterClock()
    clock.watch(adapter, "compute")
    assert adapter.evaluator.name == "slow"
    assert adapter.compute() == "result"
    assert clock.seconds >= 0.005
    first = clock.seconds
    with pytest.raises(ValueError, match="failed"):
        adapter.compute(True)
    assert clock.seconds - first >= 0.005
