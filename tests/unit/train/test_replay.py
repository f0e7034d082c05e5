"""Replayed structures: which are drawn, with which labels, and how much they weigh."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read, write
from scipy.spatial.distance import pdist
from tolerances import ROUNDING, SAME_NUMBERS, assert_close
from tuned_runs import N_CELLS, configure, train

from mhff.data.reading import LabelledStructure
from mhff.errors import MHFFError
from mhff.train.loss import loss
from mhff.train.predictor import Predictor
from mhff.train.processes import Processes
from mhff.train.run import Run


def test_replay_changes_the_loss_and_its_weight_has_an_effect(tmp_path: Path) -> None:
    """The gradient of a batch's replayed structures is proportional to their weight."""
    gradients = {}
    for weight in (1.0, 3.0):
        replay = {"loose": {"files": ["loose.extxyz"], "weight": weight}}
        run = Run(configure(tmp_path, replay=replay))
        replayed = next(item for item in run.samples["train"] if item.head == 0)
        run.trainer(Processes(torch.device("cpu"))).gradients([replayed])
        gradients[weight] = run.network.node_embedding.weight.grad
    assert gradients[1.0].abs().max() > 0
    assert_close(gradients[3.0], 3 * gradients[1.0], ROUNDING)
    assert not any(
        item.head == 0 for item in Run(configure(tmp_path, replay={"loose": None})).samples["train"]
    )


def test_labels_of_the_start_model_leave_no_loss_at_first(tmp_path: Path) -> None:
    """Energies, forces and stresses; the files have no labels at all."""
    configure(tmp_path)
    frames = [frame for frame in read(tmp_path / "loose.extxyz", ":") if len(frame) > 1]
    bare = [Atoms(f.numbers, f.positions, cell=f.cell, pbc=True) for f in frames]
    bare[0].info["energy"] = 7.0  # another level of theory's, which does not matter
    write(tmp_path / "bare.extxyz", bare, format="extxyz")
    replay = {"loose": {"files": ["bare.extxyz"], "labels": "model"}}
    run = Run(configure(tmp_path, replay=replay))
    trainer = run.trainer(Processes(torch.device("cpu")))
    replayed = [item for part in run.samples.values() for item in part if item.head == 0]
    assert len(replayed) == N_CELLS
    for sample in replayed:
        assert sample.has_forces.all()
        assert sample.has_stress.all()
        prediction = trainer.predict(sample, training=False)
        assert float(loss(prediction, sample, run.settings.loss)) < 1e-18


def descriptors(run: Run, structures: list[LabelledStructure]) -> np.ndarray:
    assert run.start is not None
    return Predictor(run.start.model, run.settings.run).descriptors(structures)


def test_farthest_structures_are_spread_more_than_random_ones(tmp_path: Path) -> None:
    spread = {}
    for draw in ("random", "farthest"):
        replay = {"loose": {"files": ["loose.extxyz"], "draw": draw, "number": 4}}
        run = Run(configure(tmp_path, replay=replay, run={"batch_size": 3}))
        drawn = run.heads[1].parts["train"]
        assert len(drawn) == 4
        rows = descriptors(run, drawn)
        assert rows.shape == (4, 8)
        spread[draw] = pdist(rows).min()
        places = [item.place for item in drawn]
        again = Run(configure(tmp_path, replay=replay, run={"batch_size": 2}))
        assert [item.place for item in again.heads[1].parts["train"]] == places
        said = f"training structures are replayed (draw: {draw}), with labels of the files"
        assert any(said in line for line in run.summary())
    assert spread["farthest"] > spread["random"]


def test_descriptors_are_means_of_node_features(tmp_path: Path) -> None:
    """They do not depend on the batch, and a doubled cell has those of the cell."""
    run = Run(configure(tmp_path, run={"batch_size": 3}))
    structures = run.heads[0].structures[:5]
    together = descriptors(run, structures)
    for row, item in zip(together, structures, strict=True):
        doubled = replace(item, atoms=item.atoms.repeat((2, 1, 1)), forces=None)
        assert_close(descriptors(run, [doubled])[0], row, ROUNDING)


def test_chemistry_draws_structures_with_the_elements_of_the_new_heads(tmp_path: Path) -> None:
    start = {"elements": ("H", "O", "Mg")}
    configure(tmp_path, start)
    frames = read(tmp_path / "loose.extxyz", ":")
    for frame in frames[2::2]:
        frame.numbers[frame.numbers == 8] = 12
    write(tmp_path / "mixed.extxyz", frames, format="extxyz")
    replay = {"loose": {"files": ["mixed.extxyz"], "draw": "chemistry"}}
    run = Run(configure(tmp_path, start, replay=replay))
    assert {item.elements for item in run.heads[1].parts["train"]} == {frozenset("HO")}
    assert any("Mg" in item.elements for item in run.heads[1].parts["valid"])
    only = [frame for frame in frames if 12 in frame.numbers]
    write(tmp_path / "mixed.extxyz", only, format="extxyz")
    with pytest.raises(
        MHFFError,
        match=r"replay\.loose: no structure has only the elements of the heads to learn, H, O; "
        "set draw to all, random or farthest",
    ):
        Run(configure(tmp_path, start, replay=replay))


def test_a_number_larger_than_what_there_is(tmp_path: Path) -> None:
    replay = {"loose": {"files": ["loose.extxyz"], "draw": "farthest", "number": 99}}
    run = Run(configure(tmp_path, replay=replay))
    n = len(run.heads[1].parts["train"])
    said = f"{n} of {n} training structures are replayed (draw: farthest, fewer than the number 99)"
    assert any(said in line for line in run.summary())


def test_the_shares_of_the_heads_are_said(tmp_path: Path) -> None:
    loose = {"files": ["loose.extxyz"], "draw": "random", "number": 3, "weight": 0.5, "repeats": 2}
    run = Run(configure(tmp_path, replay={"loose": loose}))
    n = len(run.heads[0].parts["train"])
    weight = 3 / (3 + n)
    assert (
        f"an epoch sees {n + 6} structures: tight {n} ({100 * n / (n + 6):.0f} %, "
        f"{100 * (1 - weight):.0f} % of the weight), loose 6 ({600 / (n + 6):.0f} %, "
        f"{100 * weight:.0f} % of the weight)"
    ) in run.summary()


def test_structures_may_stay_in_their_files(tmp_path: Path) -> None:
    replay = {
        "loose": {"files": ["loose.extxyz"], "labels": "model", "draw": "farthest", "number": 4}
    }
    gradients = []
    for streaming in (False, True):
        run = Run(configure(tmp_path, replay=replay, data={"streaming": streaming}))
        trainer = run.trainer(Processes(torch.device("cpu")))
        trainer.gradients(list(run.samples["train"]))
        gradients.append([each.grad for each in trainer.updater.parameters])
    for memory, file in zip(*gradients, strict=True):
        assert_close(file, memory, SAME_NUMBERS)


def test_structures_with_weight_zero_are_only_measured(tmp_path: Path) -> None:
    replay = {"loose": {"files": ["loose.extxyz"], "weight": 0.0}}
    run, said = train(configure(tmp_path, replay=replay))
    assert not any(item.head == 0 for item in run.samples["train"])
    assert any(item.head == 0 for item in run.samples["valid"])
    assert "head loose: not replayed (weight 0), only measured, with labels of the files" in said
    assert "naive fine-tuning for loose, other" in said


def test_forgetting_is_no_ratio_where_the_labels_are_the_start_models(tmp_path: Path) -> None:
    for labels in ("file", "model"):
        loose = {"files": ["loose.extxyz"], "labels": labels}
        out = {"out": labels, "epochs": 1, "dtype": "float32"}
        run, _ = train(configure(tmp_path, replay={"loose": loose}, run=out))
        table = run.report().forgetting()
        names = [column.name for column in table.columns]
        rows = [dict(zip(names, row, strict=True)) for row in table.rows]
        assert {row["head"] for row in rows} == {"loose"}
        assert all((row["force_change"] is None) == (labels == "model") for row in rows)
        assert all(row["force_after"] > 0 for row in rows)
