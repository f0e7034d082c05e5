"""Programs as evaluators: their numbers, copies of them, and what opens them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import structures
import torch
from calculators import assert_program_gives_the_models_numbers
from models import tiny_model
from programs import artefact as new_artefact
from tolerances import ROUNDING, assert_close

from mhff import MHFFCalculator, MHFFError, Model
from mhff.evaluator import Evaluator
from mhff.graph import from_program_inputs, make_graph
from mhff.opening import open_evaluator
from mhff.ops.ghosts import owner_plan
from mhff_deploy.artefact.runtime import load_artefact
from mhff_deploy.compiling.trace import example_inputs

CPU = torch.device("cpu")
INPUTS = from_program_inputs(example_inputs(3, torch.float64, CPU))
STRUCTURES = (
    structures.triclinic,
    structures.tiny_cell,
    structures.one_atom,
    structures.far_apart,
)


@pytest.fixture
def file(artefact: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "program.pt"
    path.write_bytes(artefact)
    return path


def through_pickle(thing: MHFFCalculator) -> MHFFCalculator:
    return pickle.loads(pickle.dumps(thing))


def assert_equal(found: Evaluator, expected: Evaluator) -> None:
    for one, other in zip(found.evaluate(*INPUTS), expected.evaluate(*INPUTS), strict=True):
        assert torch.equal(one, other)


def test_a_program_in_ase_equals_the_model(model: Model, file: Path) -> None:
    assert_program_gives_the_models_numbers(file, model, "surfaces", STRUCTURES)


def test_the_head_it_was_compiled_for_is_the_default(file: Path) -> None:
    atoms = structures.triclinic()
    atoms.calc = MHFFCalculator(file)
    energy = atoms.get_potential_energy()
    assert energy == pytest.approx(atoms.calc.results["head_energies"]["surfaces"], abs=1e-12)


def test_ghosts_follow_their_owners(artefact: bytes) -> None:
    evaluator = load_artefact(artefact, "a")
    graph, weights = INPUTS
    owners = graph.ghost_plan[1:]
    ghosts = evaluator.evaluate(graph, weights)
    owner = torch.cat([torch.arange(graph.n_local), owners])
    folded = make_graph(graph.edge_vectors, owner[graph.edge_index], graph.species[: graph.n_local])
    for expected, got in zip(evaluator.evaluate(folded, weights), ghosts, strict=True):
        assert_close(got, expected, ROUNDING)
    swapped = make_graph(
        graph.edge_vectors,
        graph.edge_index,
        graph.species,
        ghost_plan=owner_plan(owners.flip(0)),
    )
    assert not torch.allclose(evaluator.evaluate(swapped, weights)[0], ghosts[0])


def test_a_program_goes_to_another_process(artefact: bytes, file: Path) -> None:
    evaluator = open_evaluator(file)
    assert_equal(pickle.loads(pickle.dumps(evaluator)), evaluator)
    with pytest.raises(MHFFError, match="not opened from a file cannot be sent to another process"):
        pickle.dumps(load_artefact(artefact, "a.pt"))


@pytest.mark.slow
def test_copies_share_the_program_that_was_opened(tmp_path: Path) -> None:
    """Copies opened the path anew: after compiling for another head they had its energies."""
    model = tiny_model()
    path = tmp_path / "program.pt"
    path.write_bytes(new_artefact(model, head="materials", form="torchscript")[0])
    calculator = MHFFCalculator(path)
    atoms = structures.triclinic()
    expected = calculator.get_potential_energy(atoms)
    path.write_bytes(new_artefact(model, head="molecules", form="torchscript")[0])
    other = MHFFCalculator(path).get_potential_energy(atoms)
    assert abs(other - expected) > 1e-3
    for duplicate in (copy.copy, copy.deepcopy):
        twin = duplicate(calculator)
        twin.reset()
        assert twin.get_potential_energy(atoms) == expected
    with pytest.raises(
        MHFFError,
        match=r"^'.*program\.pt' has changed since it was opened: .*; open it again, or put",
    ):
        through_pickle(calculator)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, through_pickle])
def test_copies_of_a_calculator_give_its_numbers(
    file: Path, duplicate: Callable[[MHFFCalculator], MHFFCalculator]
) -> None:
    calculator = MHFFCalculator(file, head={"materials": 0.5, "molecules": 0.5})
    atoms = structures.triclinic()
    expected = calculator.get_potential_energy(atoms)
    twin = duplicate(calculator)
    twin.reset()
    assert twin.get_potential_energy(atoms) == expected


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_programs_run_in_every_gradient_mode(artefact: bytes, mode: type) -> None:
    expected = load_artefact(artefact, "a").evaluate(*INPUTS)
    with mode():
        inside = load_artefact(artefact, "a")
        found = inside.evaluate(*from_program_inputs(example_inputs(3, torch.float64, CPU)))
    for one, again, other in zip(found, inside.evaluate(*INPUTS), expected, strict=True):
        assert_close(one, other, ROUNDING)
        assert_close(again, other, ROUNDING)


def test_compiling_leaves_nothing_behind(artefact: bytes) -> None:
    """Defaults that were first made while a program was traced were fake tensors ever after."""
    graph = make_graph(torch.zeros(0, 3), torch.zeros(2, 0, dtype=torch.int64), torch.tensor([1]))
    assert graph.structure.tolist() == [0]
    assert graph.cells.tolist() == [[[0.0] * 3] * 3]


def test_a_foreign_archive_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.pt"
    torch.save({"a": 1}, foreign)
    with pytest.raises(
        MHFFError, match=r"is not an mhff file; expected one of: \.mhff model files"
    ):
        open_evaluator(foreign)


def test_a_form_is_for_models_only(file: Path) -> None:
    with pytest.raises(
        MHFFError, match=r"is not a \.mhff model file, and only those are compiled; leave out form="
    ):
        MHFFCalculator(file, form="torchscript")
