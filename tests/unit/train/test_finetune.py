"""Fine-tuning begins as the start model, and heads go on, begin as old ones or are left out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read, write
from labelled import E0S
from rich.console import Console
from tolerances import ROUNDING, SAME_NUMBERS, assert_close
from tuned_runs import OLD, REPLAY, SIX, configure, import_six_heads, save_start, train

from mhff.data.loading import in_batches
from mhff.errors import MHFFError
from mhff.evaluate.evaluation import BATCH_SIZE, evaluate_batches
from mhff.evaluator import EagerEvaluator
from mhff.heads import Head, Heads
from mhff.modelfile import Model, load
from mhff.train.processes import Processes
from mhff.train.run import Run
from mhff.train.trainer import Observer, Trainer


def test_old_heads_begin_with_their_energies(tmp_path: Path) -> None:
    run = Run(configure(tmp_path, replay=REPLAY))
    start = load(tmp_path / "start.mhff").network
    assert run.network.config.heads == ("loose", "other", "tight")
    for sample in run.samples["train"]:
        expected = start(sample.graph).detach()
        assert_close(run.network(sample.graph).detach()[:, :2], expected, SAME_NUMBERS)


def test_a_new_head_begins_as_the_one_it_names(tmp_path: Path) -> None:
    """Re-estimated E0s differ from the old head's by the same energy in every structure."""
    heads = {"tight": {"files": ["tight.extxyz"], "start_from": "other", "e0s": "reestimated"}}
    run = Run(configure(tmp_path, heads=heads))
    for sample in run.samples["train"]:
        energies = run.network(sample.graph).detach()
        differences = energies[:, 2] - energies[:, 1]
        for species in (0, 1):
            of_element = differences[sample.graph.species == species]
            assert_close(of_element, of_element[:1].expand_as(of_element), ROUNDING)
    reference = run.network.reference_energies
    assert (reference.scale[2], reference.shift[2]) == (reference.scale[1], reference.shift[1])


def energy_errors(run: Run, head: str) -> np.ndarray:
    """Prediction minus label, eV per atom, of the training structures."""
    model = Model(run.network, Heads([Head(name=name) for name in run.network.config.heads]))
    batches = in_batches(run.samples["train"], BATCH_SIZE)
    found = evaluate_batches(EagerEvaluator(model), batches)
    return np.array([(item.energy[1] - item.energy[0]) / 4 for item in found if item.head == head])


@pytest.mark.parametrize(
    "e0s", ["isolated", "least_squares", "reestimated", {"H": -3.0, "O": -31.0}]
)
def test_a_new_head_begins_without_a_mean_error(tmp_path: Path, e0s: Any) -> None:
    head = {"files": ["tight.extxyz"], "start_from": "loose", "e0s": e0s}
    run = Run(configure(tmp_path, heads={"tight": head}))
    assert abs(energy_errors(run, "tight").mean()) < 1e-9
    kind = run.model().heads[2].e0s_kind
    assert kind == ("given" if isinstance(e0s, dict) else e0s)
    E0s = run.network.reference_energies.E0s[2].tolist()
    if e0s == "isolated":
        assert E0s == list(E0S["tight"].values())
    if isinstance(e0s, dict):
        assert E0s == list(e0s.values())


def test_the_kind_of_reestimated_energies_is_said_and_stored(tmp_path: Path) -> None:
    head = {"files": ["tight.extxyz"], "start_from": "loose", "e0s": "reestimated"}
    run, said = train(configure(tmp_path, heads={"tight": head}))
    assert "head tight: E0s re-estimated against the start model, eV: H " in said
    assert "the compositions do not determine the E0s of H, O one by one" in said
    assert load(run.model_file).heads[2].e0s_kind == "reestimated"
    assert "E0s of different kinds (loose: isolated, other: isolated, tight: reestimated)" in said


def test_an_old_head_that_learns_more_keeps_its_E0s(tmp_path: Path) -> None:
    heads = {"tight": None, "loose": {"files": ["loose.extxyz"], "domain": "cells"}}
    run = Run(configure(tmp_path, heads=heads))
    start = load(tmp_path / "start.mhff")
    assert run.network.config.heads == OLD
    E0s = run.network.reference_energies.E0s
    assert torch.equal(E0s, start.network.reference_energies.E0s)
    loose, other = run.model().heads
    assert (loose.level_of_theory, loose.domain) == ("theory loose", "cells")
    assert loose.elements == ("H", "O")
    assert other == start.heads[1]


def test_heads_that_do_not_stay(tmp_path: Path) -> None:
    run, said = train(configure(tmp_path, keep_heads=[]))
    model = load(run.model_file)
    assert model.heads.names == ("tight",)
    assert "naive" not in said
    run = Run(configure(tmp_path, keep_heads=["other"]))
    start = load(tmp_path / "start.mhff").network
    sample = run.samples["train"][0]
    actual = run.network(sample.graph).detach()[:, 0]
    assert_close(actual, start(sample.graph).detach()[:, 1], SAME_NUMBERS)


def test_naive_fine_tuning_is_named_once(tmp_path: Path) -> None:
    _, said = train(configure(tmp_path, run={"epochs": 1}))
    assert said.count("naive fine-tuning for loose, other: nothing keeps these heads in place") == 1
    _, said = train(configure(tmp_path, replay=REPLAY, run={"epochs": 1, "out": "replayed"}))
    assert "naive fine-tuning for other: nothing keeps these heads" in said


def test_the_lineage_of_a_model(tmp_path: Path) -> None:
    first, _ = train(configure(tmp_path, run={"epochs": 1}))
    changes = {
        "heads": {"tight": {"files": ["tight.extxyz"]}},
        "run": {"epochs": 1, "out": "second"},
    }
    settings = configure(tmp_path, start_from="run/tuned.mhff", **changes)
    settings = settings.model_copy(
        update={"heads": {"tight": settings.heads["tight"].model_copy(update={"start_from": None})}}
    )
    second, _ = train(settings)
    ancestors = load(second.model_file).provenance["ancestors"]
    assert len(ancestors) == 2
    assert ancestors[0]["settings"] == first.fingerprint()
    assert ancestors[1] == {"sha256": first.start.checksum}


def test_the_start_model_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match=r"cannot write '.*start\.mhff' \(it is an input"):
        Run(configure(tmp_path, name="start", run={"out": "."}))


def test_an_interrupted_run_continues_and_refuses_another_start(tmp_path: Path) -> None:
    run, _ = train(configure(tmp_path, replay=REPLAY))
    first = configure(tmp_path, replay=REPLAY, run={"epochs": 1, "out": "run"})
    save_start(tmp_path, seed=5)
    with pytest.raises(MHFFError, match=r"holds another run \(.*start_from was [0-9a-f]{64}, now"):
        Run(first).train(Console(file=io.StringIO()))
    assert run.model().provenance["settings"]["start_from"] == run.start.checksum


class Interrupted(Run):
    """A run that is stopped in the middle of its second epoch."""

    def _observers(self, console: Console) -> list[Observer]:
        return [*super()._observers(console), PowerCut()]


class PowerCut(Observer):
    """An interruption in the second epoch."""

    def stepped(self, trainer: Trainer) -> None:
        if trainer.epoch == 1:
            raise InterruptedError("power cut")


LORA = {"lora": {"rank": 2}, "freeze": ["interactions.0"], "replay": REPLAY}


def test_a_run_with_lora_continues_to_the_same_weights(tmp_path: Path) -> None:
    unbroken, _ = train(configure(tmp_path, **LORA))
    settings = configure(tmp_path, **LORA, run={"out": "broken"})
    with pytest.raises(InterruptedError):
        Interrupted(settings).train(Console(file=io.StringIO()))
    resumed, said = train(settings)
    assert "which has 1 of 2 epochs" in said
    actual = load(resumed.model_file).network.state_dict()
    for name, value in load(unbroken.model_file).network.state_dict().items():
        assert torch.equal(actual[name], value), name


def test_what_lora_and_freeze_change(tmp_path: Path) -> None:
    """The model has merged weights, and those of frozen parts are the start model's."""
    run, _ = train(configure(tmp_path, **LORA))
    start = load(tmp_path / "start.mhff").network.state_dict()
    tuned = load(run.model_file).network.state_dict()
    same = {name for name, value in start.items() if torch.equal(value, tuned[name])}
    assert "layers.1.interaction.linear_up.weights.0" not in same
    assert "layers.0.product.linear.weights.0" not in same
    assert {name for name in start if name.startswith("layers.0.interaction.")} <= same
    assert {"node_embedding.weight", "layers.1.product.weights"} <= same
    assert start.keys() == tuned.keys()


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, LORA, {"freeze": ["products", "interactions.1"]}])
def test_kernels_give_the_same_gradients(tmp_path: Path, changes: dict[str, Any]) -> None:
    gradients = []
    start = {"n_channels": 8, "n_edge_channels": 8}
    for kernels in (False, True):
        run = Run(configure(tmp_path, start, **changes, run={"kernels": kernels}))
        said = run.use_kernels()
        if kernels and "plain torch" in said:
            pytest.skip(said)
        trainer = run.trainer(Processes(torch.device("cpu")))
        trainer.gradients(run.samples["train"][:2])
        gradients.append([each.grad for each in trainer.updater.parameters])
    for plain, fast in zip(*gradients, strict=True):
        assert_close(fast, plain, ROUNDING)


def test_an_imported_model_with_six_heads_learns_a_seventh(
    tmp_path: Path,
) -> None:
    old = import_six_heads(tmp_path, elements=("H", "He", "C", "O", "Fe"), n_edge_channels=2)
    new = {"files": ["tight.extxyz"], "start_from": "omat_pbe", "e0s": "reestimated"}
    replay = {"omol": {"files": ["loose.extxyz"], "labels": "model", "keys": {"head": None}}}
    settings = configure(tmp_path, heads={"tight": new}, replay=replay, run={"epochs": 4})
    run = Run(settings)
    for sample in run.samples["valid"]:
        expected = old.network(sample.graph).detach()
        assert_close(run.network(sample.graph).detach()[:, :6], expected, SAME_NUMBERS)
    before = energy_errors(run, "tight")
    tuned, said = train(settings)
    model = load(tuned.model_file)
    assert model.heads.names == (*SIX, "tight")
    energies = model.network.reference_energies.E0s
    assert torch.equal(energies[:6], old.network.reference_energies.E0s)
    absent = [1, 2, 4]
    assert torch.equal(energies[6, absent], energies[5, absent])
    assert "replayed (draw: all), with labels of the start model" in said
    assert np.abs(energy_errors(tuned, "tight")).mean() < np.abs(before).mean()


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has what is missing here")
def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match=r"run\.device is cuda but torch finds no CUDA device"):
        Run(configure(tmp_path, run={"device": "cuda"}))


def test_the_only_head_needs_no_name(tmp_path: Path) -> None:
    heads = {"tight": {"files": ["tight.extxyz"]}}
    run = Run(configure(tmp_path, {"heads": ("loose",)}, heads=heads))
    assert run.network.config.heads == ("loose", "tight")


MISTAKES: list[tuple[dict[str, Any], str]] = [
    (
        {"heads": {"tight": {"files": ["tight.extxyz"]}}},
        r"heads\.tight: a new head begins as a head of the start model, which has loose, other; "
        "name one with start_from",
    ),
    (
        {"heads": {"tight": {"files": ["tight.extxyz"], "start_from": "losse"}}},
        r"heads\.tight\.start_from: unknown head 'losse'; the nearest is loose, and the start "
        "model has loose, other; choose one of them",
    ),
    (
        {"heads": {"loose": {"files": ["loose.extxyz"], "start_from": "other"}}},
        r"heads\.loose\.start_from: this head of the start model goes on as it is; remove it, or",
    ),
    (
        {"heads": {"loose": {"files": ["loose.extxyz"], "e0s": "isolated"}}},
        r"heads\.loose\.e0s: this head of the start model keeps its E0s; remove it, or give",
    ),
    (
        {"replay": {"new": {"files": ["loose.extxyz"]}}},
        r"replay\.new: unknown head 'new'; the start model has loose, other; choose one",
    ),
    ({"keep_heads": ["lose"]}, "keep_heads: unknown head 'lose'; the nearest is loose, and"),
    (
        {"keep_heads": ["other"], "replay": REPLAY},
        r"replay\.loose: keep_heads leaves this head out; add it there",
    ),
    (
        {"keep_heads": ["other"], "heads": {"loose": {"files": ["loose.extxyz"]}}},
        r"heads\.loose: keep_heads leaves this head out; add it there, or rename the new head",
    ),
    ({"start_from": "gone.mhff"}, r"start_from: no file '.*gone\.mhff': give a model file"),
    ({"start_from": "loose.extxyz"}, r"start_from: '.*loose\.extxyz'"),
    (
        {"replay": {"loose": {"files": ["nothing.extxyz"]}}},
        r"replay\.loose\.files: no file '.*nothing\.extxyz'",
    ),
    (
        {"replay": {"other": {"files": ["loose.extxyz"]}}},
        r"structure 1 of .*loose\.extxyz' belongs to head 'loose', but the file is listed under "
        r"head 'other'; .* set replay\.other\.keys\.head to null",
    ),
    (
        {"replay": {"loose": {"files": ["iron.extxyz"]}}},
        r"replay\.loose: structure 1 of .*iron\.extxyz' has Fe, which the start model does not "
        r"know: its elements are H, O; leave out structures with Fe by filter\.elements, or train",
    ),
    (
        {"heads": {"tight": {"files": ["iron.extxyz"], "start_from": "loose"}}},
        r"head 'tight': structure 1 of .*iron\.extxyz' has Fe, which the start model does not know",
    ),
    (
        {"replay": {"loose": {"files": ["noforces.extxyz"]}}},
        r"none of the \d+ structures has forces under 'REF_forces'; set "
        r"replay\.loose\.keys\.forces to its name, or to null to go without",
    ),
    (
        {"replay": {"loose": {"files": ["water.extxyz"], "draw": "chemistry"}}},
        r"replay\.loose: there are no structures to train on in .*water\.extxyz",
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), MISTAKES)
def test_mistakes(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    labels = {"REF_energy": 1.0, "REF_forces": np.zeros((2, 3))}
    iron = Atoms("FeO", positions=[(0, 0, 0), (0, 0, 1.5)], info={"REF_energy": 1.0})
    iron.arrays["REF_forces"] = labels["REF_forces"]
    configure(tmp_path)
    write(tmp_path / "iron.extxyz", [iron], format="extxyz")
    frames = read(tmp_path / "loose.extxyz", ":")
    write(tmp_path / "water.extxyz", frames[:2], format="extxyz")
    for frame in frames:
        frame.arrays.pop("REF_forces", None)
    write(tmp_path / "noforces.extxyz", frames, format="extxyz")
    with pytest.raises(MHFFError, match=sentence):
        Run(configure(tmp_path, **changes))
