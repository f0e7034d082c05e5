"""A run whose structures stay in their files is the same run."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read, write
from tiny_run import N_CELLS, configure, edit, history, quiet

from mhff.data.loading import in_batches
from mhff.data.streaming import StreamedSamples, inspect
from mhff.errors import MHFFError
from mhff.modelfile import load
from mhff.train.plan import plan
from mhff.train.run import Run
from mhff.train.sections.data import DataSettings

STREAMED: dict[str, Any] = {"streaming": True}


def run_with(folder: Path, name: str, **data: Any) -> Run:
    run = {"out": name, "epochs": 2}
    return Run(configure(folder, run=run, data={"valid": 0.2, "test": 0.2, **data}))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_weights_bit_by_bit(tmp_path: Path, workers: int) -> None:
    expected = run_with(tmp_path, "memory")
    streamed = run_with(tmp_path, "streamed", **STREAMED, workers=workers)
    assert isinstance(streamed.samples["train"], StreamedSamples)
    assert isinstance(expected.samples["train"], list)
    assert streamed.fingerprint() == expected.fingerprint()
    assert streamed.summary() == expected.summary()
    for part, samples in expected.samples.items():
        np.testing.assert_array_equal(inspect(streamed.samples[part]), inspect(samples))
    for run in (expected, streamed):
        run.train(quiet())
    assert history(streamed) == history(expected)
    for run in (expected, streamed):
        run.report()
    tables = [(run.folder / "report.csv").read_text() for run in (expected, streamed)]
    assert tables[0] == tables[1]
    weights = load(streamed.model_file).network.state_dict()
    for name, value in load(expected.model_file).network.state_dict().items():
        assert torch.equal(weights[name], value), name
    assert multiprocessing.active_children() == []


def test_batches_of_streamed_samples(tmp_path: Path) -> None:
    expected = run_with(tmp_path, "memory").samples["train"]
    streamed = run_with(tmp_path, "streamed", **STREAMED, workers=2).samples["train"]
    for mine, other in zip(in_batches(streamed, 5), in_batches(expected, 5), strict=True):
        assert torch.equal(mine.graph.edge_vectors, other.graph.edge_vectors)
        assert torch.equal(mine.graph.edge_index, other.graph.edge_index)
        assert torch.equal(mine.forces, other.forces)
        assert mine.weights.dtype == other.weights.dtype
        assert mine.config_types == other.config_types
    assert len(streamed[2:4]) == 2


def test_the_plan_of_a_streamed_run(tmp_path: Path) -> None:
    lines = plan(run_with(tmp_path, "streamed", **STREAMED))
    assert any(line.startswith("time: ") for line in lines)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_changes_during_a_run(tmp_path: Path, workers: int) -> None:
    run = run_with(tmp_path, "streamed", **STREAMED, workers=workers)
    os.utime(tmp_path / "tight.extxyz", ns=(0, 0))
    with pytest.raises(MHFFError, match=r"^'.*tight\.extxyz' has changed since it was first read"):
        run.train(quiet())
    assert multiprocessing.active_children() == []


def coinciding(frames: list[Atoms]) -> list[Atoms]:
    frames[-1].positions[-1] = frames[-1].positions[0] + 5e-4
    return frames


def test_structures_without_a_graph_are_found_before_training(tmp_path: Path) -> None:
    configure(tmp_path)
    edit(tmp_path, "loose", coinciding)
    for workers in (0, 2):
        with pytest.raises(MHFFError, match=r"^structure 26 of '.*loose\.extxyz': atoms .* coin"):
            run_with(tmp_path, "streamed", **STREAMED, workers=workers)


@pytest.mark.parametrize("streaming", [False, True])
def test_structures_that_are_there_twice(tmp_path: Path, streaming: bool) -> None:
    """A permuted copy of every structure of one head; some come into another part of the split."""
    configure(tmp_path)
    frames = read(tmp_path / "loose.extxyz", ":")
    copies = [frame[::-1] for frame in frames if len(frame) > 1]
    write(tmp_path / "tight.extxyz", [*read(tmp_path / "tight.extxyz", ":"), *copies])
    data = {"streaming": streaming, "workers": 0, "valid": 0.2, "test": 0.2}
    heads = {
        head: {"files": [f"{head}.extxyz"], "keys": {"head": None}} for head in ("loose", "tight")
    }
    lines = Run(configure(tmp_path, heads=heads, data=data)).summary()
    leaks = [line for line in lines if "are also in the training set" in line]
    assert len(leaks) == 2
    assert "structures of the test set" in leaks[1]
    counts = [int(line.split()[0]) for line in leaks]
    assert 0 < sum(counts) < N_CELLS


def test_large_files_are_streamed(tmp_path: Path) -> None:
    path = tmp_path / "a.xyz"
    with path.open("wb") as stream:
        stream.truncate(2**28 + 1)
    assert DataSettings().streams([path])
    assert not DataSettings().streams([])
    assert not DataSettings(streaming=False).streams([path])
    assert DataSettings(streaming=True).streams([])
    assert DataSettings(workers=3).n_workers == 3
    assert 1 <= DataSettings().n_workers <= 8
    with pytest.raises(ValueError, match="expected a number of processes or auto, got -1"):
        DataSettings(workers=-1)
