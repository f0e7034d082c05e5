"""Processes of many structures: a GPU for each, once for its life, and the same results."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from pathlib import Path

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule
from models import random_model
from new_processes import TAKEN, Witness, take

import mhff
from mhff.evaluator import EagerEvaluator
from mhff.many import processes
from mhff.many.compute import Job
from mhff.many.evaluation import Request
from mhff.many.files import FileStructures
from mhff.many.parts import PartJob
from mhff.many.processes import default_workers, in_processes

SMALL_MEMORY = 1e-3
"""GB; a few small structures are evaluated together."""
UNGUARDED = """
from functools import partial

from mhff.workers import ordered
from new_processes import take

long = bytes(10_000_000)
print(list(ordered(long.__getitem__, range(9), 2, "mend it", partial(take, ("cpu",)))))
"""


@pytest.fixture
def two_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose CPU stands for two GPUs."""
    monkeypatch.setattr(processes, "gpus_of", lambda name: ("first", "second"))
    monkeypatch.setattr(processes, "take_gpu", take)


def molecules(n: int) -> list[Atoms]:
    structures = [molecule(name) for name in ("CH4", "H2O", "C6H6", "CO2")]
    return [structures[number % len(structures)].copy() for number in range(n)]


@pytest.mark.parametrize(
    ("device", "n_gpus", "expected"),
    [("cpu", 4, 3), ("cuda", 1, 0), ("cuda", 4, 4), ("cuda:1", 4, 0)],
)
def test_a_process_for_each_core_or_gpu(
    device: str, n_gpus: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(processes, "n_cores", lambda: 3)
    assert default_workers(device) == expected


@pytest.mark.usefixtures("two_devices")
def test_each_process_takes_a_device_before_it_opens_the_function() -> None:
    found = list(in_processes(Witness(), range(30), "cuda", 2))
    assert [seen.argument for seen in found] == list(range(30))
    taken = dict({(seen.taken, seen.process) for seen in found})
    assert set(taken) == {("first",), ("second",)}
    assert len({*taken.values(), os.getpid()}) == 3
    assert TAKEN == []


@pytest.mark.usefixtures("two_devices")
def test_results_are_those_of_one_process() -> None:
    evaluator = EagerEvaluator(random_model("mh1", n_channels=4, correlation=2))
    structures = molecules(40)
    before = set(multiprocessing.active_children())
    shared = mhff.compute(evaluator, structures, "molecules", memory=SMALL_MEMORY, workers=2)
    first = next(shared)
    assert len(set(multiprocessing.active_children()) - before) == 2
    alone = mhff.compute(evaluator, structures, "molecules", memory=SMALL_MEMORY, workers=0)
    for atoms, expected in zip([first, *shared], alone, strict=True):
        assert atoms == expected
        assert atoms.get_potential_energy() == expected.get_potential_energy()
        assert np.array_equal(atoms.get_forces(), expected.get_forces())


def test_a_job_over_files_goes_to_another_process(tmp_path: Path) -> None:
    file = tmp_path / "many.extxyz"
    ase.io.write(file, molecules(6))
    evaluator = EagerEvaluator(random_model("mh1", n_channels=4, correlation=2))
    job = PartJob(Job(evaluator, Request(), "molecules"), FileStructures([file]))
    there: PartJob = pickle.loads(pickle.dumps(job))
    assert there(range(1, 5)) == job(range(1, 5))


@pytest.mark.slow
def test_a_script_that_each_process_would_run_again_is_told_so(tmp_path: Path) -> None:
    """However much there is to send: Python itself would wait forever."""
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED)
    ended = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "a worker process has ended" in ended.stderr
    assert "mend it" in ended.stderr
