"""`HeadEnergyReporter` in a running Simulation: its numbers, its file, and runs that continue."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from models import HEADS
from openmm import LangevinMiddleIntegrator, Platform, app, unit
from openmm_runs import SAME_PROGRAM, add
from structures import waters

from mhff import MHFFError
from mhff_openmm import HeadEnergies, HeadEnergyReporter, head_energies
from mhff_openmm.adapter import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from mhff_openmm.systems import system_of

N_WATERS = 3


def simulation(model: Path, **arguments: Any) -> app.Simulation:
    atoms = waters(N_WATERS)
    system, topology = system_of(atoms)
    add(system, topology, model, **{"head": "surfaces", "dtype": "float64"} | arguments)
    integrator = LangevinMiddleIntegrator(300, 1, 0.0005)
    integrator.setRandomNumberSeed(1)
    running = app.Simulation(topology, system, integrator, Platform.getPlatformByName("Reference"))
    running.context.setPositions(atoms.positions / ANGSTROM_PER_NM)
    return running


class Frames:
    """A reporter that keeps positions, A, every `interval` steps."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.positions: list[np.ndarray] = []

    def describeNextReport(self, running: app.Simulation) -> dict[str, Any]:  # noqa: N802
        steps = self.interval - running.currentStep % self.interval
        return {"steps": steps, "periodic": False, "include": ["positions"]}

    def report(self, running: app.Simulation, state: Any) -> None:
        self.positions.append(state.getPositions(asNumpy=True).value_in_unit(unit.angstrom))


def test_columns_equal_evaluations_of_each_head(
    model_file: Path, ase_results: Any, tmp_path: Path
) -> None:
    running = simulation(model_file)
    reporter = HeadEnergyReporter(tmp_path / "heads.csv", 2)
    frames = Frames(2)
    running.reporters += [reporter, frames]
    running.step(6)
    assert reporter.heads == HEADS
    expected = []
    for positions in frames.positions:
        atoms = waters(N_WATERS)
        atoms.positions = positions
        expected.append([ase_results(atoms, head)[0] for head in HEADS])
    errors = reporter.energies / KJ_PER_MOL_PER_EV - expected
    assert np.abs(errors).max() <= SAME_PROGRAM * 3 * N_WATERS
    last = [energy._value for energy in head_energies(running.context).values()]
    np.testing.assert_allclose(reporter.energies[-1], last, rtol=1e-14)


def test_file_and_memory_hold_the_same(model_file: Path, tmp_path: Path) -> None:
    running = simulation(model_file, head=None, path=("materials", "molecules"))
    reporters = [HeadEnergyReporter(tmp_path / "heads.csv", 2), HeadEnergyReporter(None, 2)]
    running.reporters += reporters
    running.step(4)
    running.context.setParameter("mhff_lambda", 0.25)
    running.step(2)
    assert list(tmp_path.iterdir()) == [tmp_path / "heads.csv"]
    first = (tmp_path / "heads.csv").read_text().splitlines()[0]
    assert first == (
        "step,time (ps),energy materials (kJ/mol),energy surfaces (kJ/mol),"
        "energy molecules (kJ/mol),weight materials,weight surfaces,weight molecules"
    )
    read = HeadEnergies.read(tmp_path / "heads.csv")
    for samples in (read, reporters[0].samples, reporters[1].samples):
        assert samples.heads == HEADS
        assert samples.steps.tolist() == [2, 4, 6]
        np.testing.assert_allclose(samples.times, [0.001, 0.002, 0.003])
        assert samples.weights.tolist() == [[1, 0, 0], [1, 0, 0], [0.75, 0, 0.25]]
        np.testing.assert_array_equal(samples.energies, reporters[0].energies)


def test_a_frame_costs_one_evaluation(model_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mhff.evaluator import EagerEvaluator

    calls = []
    evaluate = EagerEvaluator.evaluate
    monkeypatch.setattr(
        EagerEvaluator,
        "evaluate",
        lambda self, graph, weights: calls.append(1) or evaluate(self, graph, weights),
    )
    running = simulation(model_file)
    running.step(4)
    without = len(calls)
    running.reporters.append(HeadEnergyReporter(None, 2))
    running.step(4)
    assert len(calls) - 2 * without == 2


def run(model: Path, file: Path, checkpoint: Path, n_steps: int, append: bool = False) -> Any:
    running = simulation(model)
    if append:
        running.loadCheckpoint(str(checkpoint))
    reporter = HeadEnergyReporter(file, 2, append=append)
    running.reporters.append(reporter)
    running.step(n_steps)
    if not append:
        running.saveCheckpoint(str(checkpoint))
        running.step(4)  # frames that the run will make again
    return reporter


def test_a_run_that_continues_from_a_checkpoint_loses_no_frame(
    model_file: Path, tmp_path: Path
) -> None:
    file, checkpoint = tmp_path / "heads.csv", tmp_path / "run.chk"
    whole = run(model_file, file, checkpoint, 4)
    with file.open("a") as killed:
        killed.write("10,0.0")
    again = run(model_file, file, checkpoint, 6, append=True)
    for samples in (again.samples, HeadEnergies.read(file)):
        assert samples.steps.tolist() == [2, 4, 6, 8, 10]
        np.testing.assert_array_equal(samples.energies[:4], whole.energies)


def test_without_append_the_first_report_replaces_the_file(
    model_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "heads.csv"
    file.write_text("of an earlier run\n")
    running = simulation(model_file)
    running.reporters.append(HeadEnergyReporter(file, 2))
    running.step(1)
    assert file.read_text() == "of an earlier run\n"
    running.step(1)
    assert len(HeadEnergies.read(file)) == 1


def test_a_new_run_does_not_replace_all_frames_of_an_old_one(
    model_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "heads.csv"
    run(model_file, file, tmp_path / "run.chk", 4)
    running = simulation(model_file)
    running.reporters.append(HeadEnergyReporter(file, 2, append=True))
    with pytest.raises(MHFFError, match="begins at step 2, so that a run at step 2 would replace"):
        running.step(2)
    assert len(HeadEnergies.read(file)) == 4


def test_what_cannot_be_reported_is_refused(model_file: Path, tmp_path: Path) -> None:
    for interval in (0, 2.5):
        with pytest.raises(MHFFError, match="expected a positive number of steps between reports"):
            HeadEnergyReporter(None, interval)  # type: ignore[arg-type]
    running = simulation(model_file)
    running.reporters.append(HeadEnergyReporter(tmp_path / "heads.csv", 1, name="other"))
    with pytest.raises(MHFFError, match="this Context has no mhff force 'other'"):
        running.step(1)
    (tmp_path / "other.csv").write_text(
        "step,time (ps),energy a (kJ/mol),weight a\n1,0.5,2.0,1.0\n"
    )
    running.reporters[:] = [HeadEnergyReporter(tmp_path / "other.csv", 1, append=True)]
    with pytest.raises(MHFFError, match="has the heads a, but the force 'mhff' has materials"):
        running.step(1)
