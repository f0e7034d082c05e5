"""Several processes train as one does; the error of one ends all; a single one loads no MPI."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from command_line import MHFF
from tiny_runs import configure

from mhff.errors import MHFFError
from mhff.modelfile import load
from mhff.train import processes
from mhff.train.processes import ConnectedProcesses, connect, own_device

SAME_CURVE = 1e-6
"""Relative difference of losses between one and two processes, in float64: a promise."""
MAX_SECONDS = 300
"""Only to end processes that hang."""
FAILS_IN_SECOND = """
import sys
from mhff.errors import MHFFError
from mhff.train import trainer
from mhff.cli import main

step = trainer.Trainer.take_step

def fails(self, parts):
    if self.processes.rank == 1 and self.step == 2:
        raise MHFFError("the second process has had enough")
    return step(self, parts)

trainer.Trainer.take_step = fails
main()
"""


def environment(**changes: object) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", **{k: str(v) for k, v in changes.items()}}


def finish(*started: subprocess.Popen[str]) -> list[tuple[int, str, str]]:
    """Exit codes, stdout and stderr."""
    try:
        said = [each.communicate(timeout=MAX_SECONDS) for each in started]
    finally:
        for each in started:
            each.kill()
    return [(each.returncode, *text) for each, text in zip(started, said, strict=True)]


def start(command: list[object], **changes: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(map(str, command)),
        env=environment(**changes),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def by_torchrun(config: Path) -> subprocess.Popen[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--no-python"]
    return start([*launcher, "--nproc-per-node", 2, MHFF, "train", config])


def by_srun(command: list[object], rank: int, port: int) -> subprocess.Popen[str]:
    """One of two tasks as srun starts them."""
    return start(
        command,
        SLURM_STEP_NUM_TASKS=2,
        SLURM_STEP_NUM_NODES=1,
        SLURM_NTASKS=2,
        SLURM_NTASKS_PER_NODE=2,
        SLURM_JOB_ID=1,
        SLURM_NODELIST="127.0.0.1",
        SLURM_NODEID=0,
        SLURM_PROCID=rank,
        SLURM_LOCALID=rank,
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=port,
    )


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def history(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "epochs.jsonl").read_text().splitlines()]


def assert_same_runs(one: Path, two: Path) -> None:
    """Losses, validation errors and weights."""
    expected, found = history(one), history(two)
    assert len(found) == len(expected)
    for mine, theirs in zip(found, expected, strict=True):
        for key in ("train_loss", "valid_loss", "gradient_norm"):
            assert mine[key] == pytest.approx(theirs[key], rel=SAME_CURVE)
        assert mine["valid"].keys() == theirs["valid"].keys()
        for head, errors in theirs["valid"].items():
            assert mine["valid"][head] == pytest.approx(errors, rel=SAME_CURVE)
    weights = load(one / "tiny.mhff").network.state_dict()
    for name, value in load(two / "tiny.mhff").network.state_dict().items():
        torch.testing.assert_close(value, weights[name], rtol=SAME_CURVE, atol=SAME_CURVE)


@pytest.mark.slow
def test_two_processes_of_torchrun_train_as_one_does(tmp_path: Path) -> None:
    one, two = finish(
        start([MHFF, "train", configure(tmp_path, "one", run={"accumulate": 2})]),
        by_torchrun(configure(tmp_path, "two")),
    )
    assert (one[0], two[0]) == (0, 0), one[2] + two[2]
    assert_same_runs(tmp_path / "one", tmp_path / "two")
    assert one[1].count("epoch    3, validation errors") == 1
    assert two[1].count("epoch    3, validation errors") == 1, "only the main process prints"
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        path.name for path in (tmp_path / "two").iterdir()
    }


@pytest.mark.slow
def test_the_error_of_one_ends_both_and_one_process_continues(tmp_path: Path) -> None:
    config = configure(tmp_path, "out", run={"checkpoint_minutes": 0})
    port = free_port()
    command = [sys.executable, "-c", FAILS_IN_SECOND, "train", config]
    first, second = finish(*(by_srun(command, rank, port) for rank in (0, 1)))
    assert (first[0], second[0]) == (2, 2), first[2] + second[2]
    assert second[2].splitlines()[-1] == "mhff: the second process has had enough"
    assert "another process of this run has ended" in first[2]
    (resumed, whole) = finish(
        start([MHFF, "train", config]), start([MHFF, "train", configure(tmp_path, "whole")])
    )
    assert "has 0 of 3 epochs and 2 steps" in resumed[1]
    assert whole[0] == 0
    assert_same_runs(tmp_path / "whole", tmp_path / "out")


@pytest.mark.slow
def test_a_single_process_loads_neither_mpi_nor_lightning(tmp_path: Path) -> None:
    """In a SLURM job's own script, too, which is a single process."""
    code = (
        "import sys; from mhff.cli import main\n"
        "try: main()\n"
        "finally: print(sorted(set(sys.modules) & {'mpi4py', 'lightning'}))\n"
    )
    config = configure(tmp_path, run={"epochs": 1})
    command = [sys.executable, "-c", code, "train", config]
    (done,) = finish(start(command, SLURM_NTASKS=4, SLURM_PROCID=0, SLURM_JOB_ID=1))
    assert done[0] == 0, done[2]
    assert done[1].splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("device", "on_node", "sentence"),
    [
        ("cuda:1", 1, "run.device is cuda:1 but torch finds 1 CUDA devices, numbered from 0"),
        ("cuda:0", 2, "run.device is cuda:0, one device for 2 processes; set run.device to cuda"),
        ("cuda", 2, "there are 2 processes on this node but 1 CUDA devices; start as many"),
    ],
)
def test_devices_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, device: str, on_node: int, sentence: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(MHFFError, match=sentence):
        processes._check_devices(device, on_node)


@pytest.mark.parametrize("on_node", [None, "2"])
def test_nodes_with_different_numbers_of_tasks(
    monkeypatch: pytest.MonkeyPatch, on_node: str | None
) -> None:
    if on_node is not None:
        monkeypatch.setenv("SLURM_NTASKS_PER_NODE", on_node)
    for name, value in {"TASKS": 3, "NODES": 2}.items():
        monkeypatch.setenv(f"SLURM_STEP_NUM_{name}", str(value))
    with pytest.raises(MHFFError, match="srun started 3 tasks on 2 nodes; give --ntasks-per-node"):
        connect("cpu")


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[ConnectedProcesses]:
    """A group of one process, with everything that several have."""
    store = f"file://{tmp_path / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    group = ConnectedProcesses(torch.device("cpu"))
    yield group
    group.close()


def test_an_exchange(alone: ConnectedProcesses) -> None:
    """A gradient that no process has stays None, so that the optimiser leaves its weight alone."""
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((2, 3), (), (4,))]
    weights[0].grad = torch.arange(6.0).reshape(2, 3)
    weights[1].grad = torch.tensor(0.0)
    alone.sum_gradients(weights)
    assert weights[0].grad.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert weights[1].grad.tolist() == 0
    assert weights[2].grad is None
    assert alone.gather({"a": 1}) == [{"a": 1}]
    assert alone.same("content") == "content"


def test_an_exchange_with_a_process_that_has_ended(
    alone: ConnectedProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_: torch.Tensor) -> None:
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(dist, "all_reduce", closed)
    with pytest.raises(MHFFError, match="another process of this run has ended; its own message"):
        alone.sum(torch.zeros(1))


def test_each_process_predicts_on_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert own_device("cuda") == torch.device("cuda")
    for name, value in {
        "SLURM_STEP_NUM_TASKS": 8,
        "SLURM_PROCID": 6,
        "SLURM_LOCALID": 2,
    }.items():
        monkeypatch.setenv(name, str(value))
    assert own_device("cuda") == torch.device("cuda:2")
    assert own_device("cuda:1") == torch.device("cuda:1")
    assert own_device("cpu") == torch.device("cpu")
