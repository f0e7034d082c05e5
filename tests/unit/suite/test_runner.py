"""Jobs run in processes of their own; what is finished is kept, what fails harms no other."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest
from models import tiny_model

from mhff_suite import client
from mhff_suite.jobs import Done, Job, Store
from mhff_suite.outcome import Outcome, Value
from mhff_suite.runner import INTERRUPTED, Runner, duration

FAKE_WORKER = """
import json, os, signal, sys
for line in sys.stdin:
    ((request, job),) = json.loads(line).items()
    if request == "run" and job["head"] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    with open({log!r}, "a") as log:
        log.write(request + " " + job["head"] + chr(10))
    value = {{"quantity": "q", "value": 1.0, "unit": "eV", "target": 2.0}}
    print(json.dumps({{"state": "finished", "outcome": {{"values": [value]}}}}), flush=True)
"""


@pytest.fixture
def jobs(tmp_path: Path) -> list[Job]:
    path = tmp_path / "tiny.mhff"
    tiny_model().save(path)
    return [Job(str(path), "s22", head) for head in ("first", "dies", "third")]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker that writes down what it is asked, in place of the true one."""
    path = tmp_path / "log"
    script = tmp_path / "worker.py"
    script.write_text(FAKE_WORKER.format(log=str(path)))
    monkeypatch.setattr(client, "COMMAND", (sys.executable, str(script)))
    return path


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_process_that_dies_harms_no_other_job(
    jobs: list[Job], log: Path, tmp_path: Path, n_workers: int
) -> None:
    results = Runner(n_workers, 1, Store(tmp_path)).run(jobs, lambda sentence: None)
    assert [results[job].state for job in jobs] == ["finished", "failed", "finished"]
    assert results[jobs[1]].why == f"its process ended with code -{signal.SIGKILL}"


def test_finished_jobs_are_not_run_again(jobs: list[Job], log: Path, tmp_path: Path) -> None:
    Runner(1, 1, Store(tmp_path)).run(jobs[:1], lambda sentence: None)
    log.write_text("")
    results = Runner(1, 1, Store(tmp_path)).run(jobs, lambda sentence: None)
    assert results[jobs[0]].state == "finished"
    assert "run first" not in log.read_text().splitlines()
    assert "run third" in log.read_text().splitlines()


def test_an_interrupt_keeps_what_is_finished(jobs: list[Job], log: Path, tmp_path: Path) -> None:
    def interrupt(sentence: str) -> None:
        if sentence.startswith("1 of"):
            raise KeyboardInterrupt

    results = Runner(1, 1, Store(tmp_path)).run(jobs, interrupt)
    assert results[jobs[0]].state == "finished"
    assert results[jobs[2]] == INTERRUPTED


def test_results_belong_to_one_model_and_setting(jobs: list[Job], tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = Value(quantity="q", value=1.0, unit="eV", target=1.0)
    store.write(jobs[0], Done(state="finished", outcome=Outcome(values=(value,))))
    store.write(jobs[1], Done(state="failed", why="a reason"))
    assert store.read(jobs[0]) is not None
    assert store.read(jobs[1]) is None
    assert store.read(Job(jobs[0].model, "s22", "first", quick=True)) is None


def test_a_damaged_result_is_done_again(jobs: list[Job], tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = Value(quantity="q", value=1.0, unit="eV", target=1.0)
    store.write(jobs[0], Done(state="finished", outcome=Outcome(values=(value,))))
    (path,) = store.folder.rglob("*.json")
    os.truncate(path, 10)
    assert store.read(jobs[0]) is None


def test_times_are_shown_in_seconds_or_minutes() -> None:
    assert [duration(5), duration(600)] == ["5 s", "10 min"]
