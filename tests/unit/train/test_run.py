"""Training runs learn, resume, refuse another run's folder, and write correct files."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from shutil import copytree
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read
from labelled import E0S
from rich.console import Console
from tiny_run import N_CELLS, configure, edit, history, quiet
from tolerances import FINITE_DIFFERENCES, assert_close

from mhff.calculator import MHFFCalculator
from mhff.errors import MHFFError
from mhff.modelfile import load
from mhff.train.run import Run
from mhff.train.settings import read_settings
from mhff.train.trainer import Observer, Trainer

STEP = 1e-4
"""Strain of the finite differences."""


class StopAfter(Observer):
    """An interruption: raised before the third epoch's checkpoint is written."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def stepped(self, trainer: Trainer) -> None:
        if trainer.epoch == self.epoch:
            raise InterruptedError("power cut")


class InterruptedRun(Run):
    """A run that the power cut hits in the middle of its last epoch."""

    def _observers(self, console: Console) -> list[Observer]:
        return [*super()._observers(console), StopAfter(2)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run from start to end."""
    run = Run(configure(tmp_path_factory.mktemp("finished")))
    run.train(quiet())
    run.report()
    return run


def test_the_kind_of_E0s_is_stored_with_each_head(tmp_path: Path) -> None:  # noqa: N802
    files = {head: {"files": [f"{head}.extxyz"]} for head in E0S}
    given = {"H": -3.0, "O": -31.0}
    heads = {"loose": {"e0s": "least_squares"}, "tight": {"e0s": given}}
    run = Run(configure(tmp_path, heads={head: files[head] | heads[head] for head in E0S}))
    assert [head.e0s_kind for head in run.model().heads] == ["least_squares", "given"]
    loose, tight = run.network.reference_energies.E0s.tolist()
    assert tight == list(given.values())
    # every cell is H2O2: the sums fit, and the mean energy is left for the shift
    energies = [item.energy / 4 for item in run.heads[0].parts["train"]]
    assert sum(loose) / 2 == pytest.approx(np.mean(energies), abs=1e-9)
    assert run.network.reference_energies.shift[0] == pytest.approx(0, abs=1e-9)
    said = "\n".join(run.summary())
    assert "head loose: E0s by least squares, eV: H " in said
    assert "head loose: the compositions do not determine the E0s of H, O one by one" in said
    assert "head tight: E0s as given, eV: H -3.0000, O -31.0000" in said
    assert "E0s of different kinds (loose: least_squares, tight: given)" in said


def test_the_loss_falls(finished: Run) -> None:
    epochs = history(finished)
    assert [line["epoch"] for line in epochs] == [1, 2, 3]
    assert epochs[-1]["train_loss"] < 0.9 * epochs[0]["train_loss"]
    assert epochs[-1]["valid_loss"] < epochs[0]["valid_loss"]


def test_an_interrupted_run_continues_to_the_same_weights(finished: Run, tmp_path: Path) -> None:
    settings = configure(tmp_path)
    with pytest.raises(InterruptedError):
        InterruptedRun(settings).train(quiet())
    assert len(history(InterruptedRun(settings))) == 2
    resumed, screen = Run(settings), io.StringIO()
    resumed.train(Console(file=screen, width=1000))
    assert "last.ckpt, which has 2 of 3 epochs" in screen.getvalue()
    expected, actual = (
        load(finished.model_file).network.state_dict(),
        load(resumed.model_file).network.state_dict(),
    )
    for name, value in expected.items():
        assert torch.equal(actual[name], value), name
    assert history(resumed) == history(finished)


def test_a_finished_run_is_left_as_it_is(finished: Run) -> None:
    before = history(finished)
    weights = finished.model_file.read_bytes()
    screen = io.StringIO()
    Run(finished.settings).train(Console(file=screen, width=1000))
    assert history(finished) == before
    assert finished.model_file.read_bytes() == weights
    assert "is finished; --restart starts it anew" in screen.getvalue()


def test_another_configuration_is_refused_unless_restarted(finished: Run, tmp_path: Path) -> None:
    copytree(finished.folder.parent, tmp_path, dirs_exist_ok=True)
    changed = Run(configure(tmp_path, run={"epochs": 1}))
    with pytest.raises(
        MHFFError, match=r"holds another run \(run\.epochs was 3, now 1\).*--restart"
    ):
        changed.train(quiet())
    assert len(history(changed)) == 3
    changed.train(quiet(), restart=True)
    assert len(history(changed)) == 1


def test_changed_data_are_refused(finished: Run, tmp_path: Path) -> None:
    copytree(finished.folder.parent, tmp_path, dirs_exist_ok=True)
    edit(tmp_path, "loose", lambda frames: frames[:-1])
    with pytest.raises(
        MHFFError, match=r"holds another run \(heads\.loose\.files\.loose\.extxyz was"
    ):
        Run(configure(tmp_path)).train(quiet())


def test_the_model_file_is_complete(finished: Run) -> None:
    model = load(finished.model_file)
    assert model.heads.names == ("loose", "tight")
    assert model.elements == ("H", "O")
    assert model.heads[0].elements == ("H", "O")
    reference = model.network.reference_energies
    assert reference.E0s.tolist() == [list(E0S[head].values()) for head in E0S]
    assert reference.shift[0] != reference.shift[1]
    assert model.provenance["settings"]["optimiser"]["ema_decay"] == 0.9
    assert len(model.provenance["settings"]["heads"]["loose"]["files"]["loose.extxyz"]) == 64
    assert "torch" in model.provenance["made_by"]
    assert model.provenance["errors"]["valid"]["tight"]["structures"] > 0


def test_the_best_model_has_the_averaged_weights(finished: Run) -> None:
    checkpoint = torch.load(finished.folder / "last.ckpt", weights_only=True)
    losses = [line["valid_loss"] for line in history(finished)]
    assert min(losses) == losses[-1], "choose another seed: the last epoch should be the best"
    saved = dict(load(finished.model_file).network.named_parameters())
    raw = checkpoint["state"]["network"]
    averages = dict(zip(saved, checkpoint["state"]["updater"]["average"]["averages"], strict=True))
    for name, value in saved.items():
        assert torch.equal(value, averages[name])
    assert any(not torch.equal(averages[name], raw[name]) for name in saved)


def test_the_table_counts_what_is_behind_it(finished: Run) -> None:
    content = json.loads((finished.folder / "report.json").read_text())["errors"]
    total = sum(content[part]["loose"]["structures"] for part in content)
    assert total == N_CELLS
    row = content["train"]["loose"]
    assert (row["atoms"], row["force_components"], row["stress_structures"]) == (
        4 * row["structures"],
        12 * row["structures"],
        row["structures"],
    )
    page = (finished.folder / "report.html").read_text()
    found = re.search(r">loose</td><td[^>]*>train</td><td>(\d+)</td><td>(\d+)</td>", page)
    assert found
    assert [int(each) for each in found.groups()] == [row["structures"], row["atoms"]]
    assert json.loads((finished.folder / "epochs.jsonl").read_text().splitlines()[0])["seconds"] > 0


def strained(atoms: Atoms, i: int, j: int, strain: float) -> Atoms:
    """A copy, its calculator shared, under a small symmetric strain."""
    deformation = np.eye(3)
    deformation[i, j] += strain / 2
    deformation[j, i] += strain / 2
    copy = atoms.copy()
    copy.set_cell(atoms.cell @ deformation, scale_atoms=True)
    copy.calc = atoms.calc
    return copy


def test_stress_is_the_derivative_of_the_trained_energy(finished: Run) -> None:
    """By strain, with ASE's sign."""
    frame = read(finished.folder.parent / "tight.extxyz", "-1")
    atoms = Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=True)
    atoms.calc = MHFFCalculator(finished.model_file, head="tight", form="eager")
    numerical = np.zeros((3, 3))
    for i, j in np.ndindex(3, 3):
        energies = [strained(atoms, i, j, STEP * sign).get_potential_energy() for sign in (1, -1)]
        numerical[i, j] = (energies[0] - energies[1]) / (2 * STEP * atoms.get_volume())
    assert_close(atoms.get_stress(voigt=False), numerical, FINITE_DIFFERENCES)


def test_a_run_without_validation_keeps_the_latest(tmp_path: Path) -> None:
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    run = Run(configure(tmp_path, run={"epochs": 1}, data={"valid": 0.0}))
    run.train(quiet())
    assert history(run)[0]["valid_loss"] is None
    assert "no structures to validate with: the latest model is kept" in run.summary()[-1]
    assert set(run.report().by_head) == {"train", "test"}
    assert torch.equal(torch.get_rng_state(), before), (
        "training must not touch the global random state"
    )
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def without_forces(frame: Atoms, name: str | None = None) -> Atoms:
    """A copy whose forces are gone, or under another name."""
    copy = frame.copy()
    forces = copy.arrays.pop("REF_forces", np.zeros((len(copy), 3)))
    if name:
        copy.arrays[name] = forces
    return copy


def moved(frame: Atoms, position: Any) -> Atoms:
    """A copy with its last atom elsewhere."""
    copy = frame.copy()
    copy.positions[-1] = position
    return copy


def flat(frame: Atoms) -> Atoms:
    """A copy whose lattice vectors lie in a plane, without the stress that needs a volume."""
    copy = frame.copy()
    copy.cell[2] = copy.cell[0] + copy.cell[1]
    del copy.info["REF_stress"]
    return copy


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda frames: [f for f in frames if f.symbols[0] != "O" or len(f) > 1],
            r"head 'loose': there are structures with O \(structure 2 of .*\) but",
        ),
        (lambda frames: frames[:2], "head 'loose' has no structures to train on"),
        (
            lambda frames: [*frames, Atoms("H2", info={"head": "lose", "REF_energy": 1.0})],
            r"structure 27 of .* belongs to head 'lose', but the file is listed under head 'loose'",
        ),
        (
            lambda frames: [*frames, without_forces(frames[-1], "forces")],
            "structure 27 of .*extxyz",
        ),
        (
            lambda frames: (
                [without_forces(frame, "Forces") for frame in frames[:2]]
                + [without_forces(frame) for frame in frames[2:]]
            ),
            r"head 'loose': none of the 24 structures has forces under 'REF_forces'; set "
            r"heads\.loose\.keys\.forces to its name, or to null to go without",
        ),
        (
            lambda frames: [*frames, moved(frames[-1], frames[-1].positions[0] + 5e-4)],
            r"structure 27 of '.*loose\.extxyz': atoms .* coincide",
        ),
        (
            lambda frames: [*frames, moved(frames[-1], np.nan)],
            r"head 'loose': 1 structures have NaN or infinity: structure 27 of '.*' \(NaN "
            r"or infinity in positions\); data\.suspicious: leave_out leaves them out",
        ),
        (
            lambda frames: [*frames, flat(frames[-1])],
            r"structure 27 of '.*loose\.extxyz': expected independent lattice vectors",
        ),
    ],
)
def test_data_that_do_not_fit(tmp_path: Path, change: Any, sentence: str) -> None:
    settings = configure(tmp_path)
    edit(tmp_path, "loose", change)
    with pytest.raises(MHFFError, match=sentence):
        Run(settings)


def test_elements_of_the_settings_must_cover_the_data(tmp_path: Path) -> None:
    with pytest.raises(
        MHFFError, match=r"model\.elements lacks O, which the data have \(structure 3 of .*\)"
    ):
        Run(configure(tmp_path, model={"elements": ["H", "C"]}))


def test_the_labels_are_counted(tmp_path: Path) -> None:
    settings = configure(tmp_path)
    edit(tmp_path, "loose", lambda frames: [*frames[:-1], charged(without_forces(frames[-1]))])
    lines = Run(settings).summary()
    assert len(lines) == 6
    assert re.fullmatch(
        r"head loose: 24 structures \(\d+ train, \d+ valid, \d+ test\), 24 with energies, "
        "23 with forces, 24 with stress",
        lines[0],
    )
    assert lines[1] == "head loose: E0s of isolated atoms, eV: H -1.0000, O -20.0000"
    assert lines[2].startswith(
        "head loose: 1 of 24 structures have a total charge other than 0, which this model"
    )


def charged(frame: Atoms) -> Atoms:
    """A copy with a charge, as mace-torch calls it."""
    copy = frame.copy()
    copy.info["total_charge"] = 1
    return copy


def test_a_charge_enters_a_model_that_takes_it(tmp_path: Path) -> None:
    embeddings = [{"quantity": "total_charge", "kind": "continuous", "width": 4}]
    settings = configure(tmp_path, model={"state_embeddings": embeddings})
    edit(tmp_path, "loose", lambda frames: [charged(frame) for frame in frames])
    run = Run(settings)
    states = {
        tuple(row)
        for part in run.samples.values()
        for item in part
        for row in item.graph.state.tolist()
    }
    assert states == {(1.0, 1.0), (0.0, 1.0)}, "the heads loose and tight"
    assert not any("total charge" in line for line in run.summary())


def test_names_of_all_labels(tmp_path: Path) -> None:
    """A configuration that names every label reads what the default names hold."""
    expected = Run(configure(tmp_path)).summary()
    names = {
        "REF_energy": "dft_energy",
        "REF_forces": "dft_forces",
        "REF_stress": "dft_stress",
        "head": "level",
    }

    def renamed(frames: list[Atoms]) -> list[Atoms]:
        for frame in frames:
            for store in (frame.info, frame.arrays):
                for old in names.keys() & store.keys():
                    store[names[old]] = store.pop(old)
        return frames

    heads = {}
    for head in E0S:
        edit(tmp_path, head, renamed)
        keys = {"energy": "dft_energy", "forces": "dft_forces", "stress": "dft_stress"}
        heads[head] = {"files": [f"{head}.extxyz"], "keys": {**keys, "head": "level"}}
    assert Run(configure(tmp_path, heads=heads)).summary() == expected


def test_a_repeated_key_is_refused(tmp_path: Path) -> None:
    configure(tmp_path)
    text = (tmp_path / "config.yaml").read_text()
    (tmp_path / "config.yaml").write_text(text + "heads: {tight: {files: [tight.extxyz]}}\n")
    with pytest.raises(MHFFError, match=r"config\.yaml': the key heads appears twice, in lines"):
        read_settings(tmp_path / "config.yaml")


def test_a_damaged_checkpoint(finished: Run, tmp_path: Path) -> None:
    copytree(finished.folder.parent, tmp_path, dirs_exist_ok=True)
    checkpoint = tmp_path / "run/last.ckpt"
    whole = checkpoint.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        checkpoint.write_bytes(content)
        with pytest.raises(
            MHFFError, match=r"cannot continue from '.*last\.ckpt', which is damaged"
        ):
            Run(configure(tmp_path)).train(quiet())


def test_the_progress_ends_at_the_last_epoch(tmp_path: Path) -> None:
    screen = Console(file=io.StringIO(), width=200)
    Run(configure(tmp_path, run={"epochs": 2})).train(screen)
    said = screen.file.getvalue()
    assert "epoch 2" in said.splitlines()[-1]
    assert "epoch 3" not in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has what is missing here")
def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    run = Run(configure(tmp_path, run={"device": "cuda"}))
    with pytest.raises(MHFFError, match=r"run\.device is cuda but torch finds no CUDA device"):
        run.train(quiet())
