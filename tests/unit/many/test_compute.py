"""`mhff.compute`: the numbers of the calculator, in order, whatever else is in the stream."""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterator
from itertools import count
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from models import HEADS, random_model
from structures import (
    no_atoms,
    one_atom,
    rattled_bulk,
    slab,
    tiny_cell,
    water_cluster,
    waters,
    wire,
)
from tolerances import ROUNDING, assert_close

import mhff
from mhff import MHFFCalculator, MHFFError
from mhff.evaluator import EagerEvaluator
from mhff.modelfile import Model
from mhff.opening import open_evaluator
from mhff.options import CompileOptions, Form

SMALL_MEMORY = 1e-3
"""GB; a few small structures are evaluated together."""


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model("mh1", n_channels=4, correlation=2)


@pytest.fixture(scope="module")
def evaluator(model: Model) -> EagerEvaluator:
    return EagerEvaluator(model)


def mixture() -> list[Atoms]:
    """Structures of every size and periodicity, small molecules between them."""
    return [
        molecule("CH4"),
        rattled_bulk(),
        water_cluster(),
        tiny_cell(),
        one_atom(),
        slab(),
        molecule("C6H6"),
        no_atoms(),
        wire(),
        waters(30),
        molecule("H2O", vacuum=4.0),
    ]


def assert_same(found: Atoms, expected: Atoms, calculator: MHFFCalculator) -> None:
    """The results of a calculator for one structure."""
    calculator.reset()
    atoms = expected.copy()
    atoms.calc = calculator
    results = found.calc.results
    assert_close(results["energy"], atoms.get_potential_energy(), ROUNDING)
    assert_close(results["free_energy"], atoms.get_potential_energy(), ROUNDING)
    assert_close(results["forces"], atoms.get_forces(), ROUNDING)
    for head, energy in calculator.results["head_energies"].items():
        assert_close(results["head_energies"][head], energy, ROUNDING)
    assert ("stress" in results) == bool(atoms.pbc.any() and atoms.cell.rank == 3)
    if "stress" in results:
        assert_close(results["stress"], atoms.get_stress(), ROUNDING)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("head", ["surfaces", {"materials": 0.25, "molecules": 0.75}])
def test_results_equal_those_of_one_structure_at_a_time(
    evaluator: EagerEvaluator, head: Any, workers: int
) -> None:
    structures = mixture()
    found = mhff.compute(evaluator, structures, head, memory=SMALL_MEMORY, workers=workers)
    calculator = MHFFCalculator(evaluator, head)
    for atoms, given in zip(found, structures, strict=True):
        assert isinstance(atoms.calc, SinglePointCalculator)
        assert given.calc is None
        assert atoms is not given
        assert atoms == given
        assert_same(atoms, given, calculator)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 2])
def test_a_compiled_program_gives_each_structure_the_numbers_that_it_has_alone(
    workers: int,
) -> None:
    compiled = open_evaluator("mini", CompileOptions(form=Form.AOTI))
    structures = 2 * mixture()
    found = mhff.compute(compiled, structures, "surfaces", memory=SMALL_MEMORY, workers=workers)
    calculator = MHFFCalculator(compiled, "surfaces")
    for atoms, given in zip(found, structures, strict=True):
        assert_same(atoms, given, calculator)


def test_structures_may_name_their_heads(evaluator: EagerEvaluator) -> None:
    structures = [molecule("H2O"), molecule("H2O"), molecule("H2O")]
    structures[1].info["mhff_head"] = "surfaces"
    structures[2].arrays["mhff_head"] = np.array(["materials", "surfaces", "surfaces"])
    calculator = MHFFCalculator(evaluator, "materials")
    for atoms, given in zip(
        mhff.compute(evaluator, structures, "materials"), structures, strict=True
    ):
        assert_same(atoms, given, calculator)


def test_several_heads_have_results_of_their_own(evaluator: EagerEvaluator) -> None:
    """Under names that `mhff eval --energy-key` and training find together."""
    structures = mixture()
    properties = ("energy", "energies", "forces", "stress")
    found = list(mhff.compute(evaluator, structures, HEADS[:2], properties))
    for head in HEADS[:2]:
        alone = mhff.compute(evaluator, structures, head, properties)
        for atoms, expected in zip(found, alone, strict=True):
            results = expected.calc.results
            assert_close(atoms.info[f"{head}_energy"], results["energy"], ROUNDING)
            assert_close(atoms.arrays[f"{head}_forces"], results["forces"], ROUNDING)
            assert_close(atoms.arrays[f"{head}_energies"], results["energies"], ROUNDING)
            assert (f"{head}_stress" in atoms.info) == ("stress" in results)
    with pytest.raises(PropertyNotImplementedError):
        found[0].get_potential_energy()  # no head comes before the others
    assert set(found[0].calc.results["head_energies"]) == set(HEADS)
    text = io.StringIO()
    ase.io.write(text, found[1], format="extxyz")
    text.seek(0)
    again = ase.io.read(text, format="extxyz")
    assert again.info["surfaces_energy"] == found[1].info["surfaces_energy"]
    assert again.arrays["surfaces_forces"].shape == (len(again), 3)


def test_only_what_was_asked_for(evaluator: EagerEvaluator) -> None:
    (atoms,) = mhff.compute(evaluator, [rattled_bulk()], "materials", ["energy"])
    assert set(atoms.calc.results) == {"energy", "free_energy", "head_energies"}
    (atoms,) = mhff.compute(evaluator, [rattled_bulk()], "materials", ["energies", "stress"])
    assert_close(atoms.get_potential_energies().sum(), atoms.get_potential_energy(), ROUNDING)
    assert "forces" not in atoms.calc.results


def broken() -> list[tuple[Atoms, str]]:
    """Structures that cannot be computed, and why."""
    unknown = molecule("H2O")
    unknown.numbers[0] = 79
    nowhere = molecule("CH4")
    nowhere.positions[1] = np.nan
    together = molecule("CH4")
    together.positions[1] = together.positions[2]
    flat = rattled_bulk()
    flat.cell[2] = flat.cell[1]
    headless = molecule("H2O")
    headless.info["mhff_head"] = "moleculs"
    return [
        (unknown, "Au"),
        (nowhere, "NaN"),
        (together, "coincide"),
        (flat, "independent lattice vectors"),
        (headless, "unknown head 'moleculs'"),
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_structure_is_named_and_harms_no_other(
    evaluator: EagerEvaluator, workers: int
) -> None:
    structures = [molecule("CH4")]
    for atoms, _ in broken():
        structures += [atoms, molecule("CH4")]
    found = list(
        mhff.compute(evaluator, structures, "molecules", memory=SMALL_MEMORY, workers=workers)
    )
    energies = {atoms.get_potential_energy() for atoms in found[::2]}
    assert max(energies) - min(energies) < ROUNDING.absolute
    for index, (_, why) in enumerate(broken()):
        atoms = found[2 * index + 1]
        assert why in atoms.info["mhff_error"]
        assert atoms.info["mhff_error"].startswith(f"structures[{2 * index + 1}]: ")
        for ask in (atoms.get_potential_energy, atoms.get_forces):
            with pytest.raises(MHFFError, match=r"structures\[\d+\]: "):
                ask()


def test_nothing_but_bad_structures(evaluator: EagerEvaluator) -> None:
    found = list(mhff.compute(evaluator, [atoms for atoms, _ in broken()], "molecules"))
    assert all("mhff_error" in atoms.info for atoms in found)
    assert len(found) == len(broken())
    assert list(mhff.compute(evaluator, [], "molecules")) == []


def test_results_belong_to_the_structure_as_it_was(evaluator: EagerEvaluator) -> None:
    """As with ASE's own calculator of known results."""
    for change in ("positions", "numbers", "cell", "pbc"):
        (atoms,) = mhff.compute(evaluator, [rattled_bulk()], "materials")
        assert atoms.calc.atoms == atoms
        again = pickle.loads(pickle.dumps(atoms))
        assert again.get_potential_energy() == atoms.get_potential_energy()
        getattr(atoms, change)[0] = 0
        with pytest.raises(PropertyNotImplementedError):
            atoms.get_forces()
        assert again.get_forces().shape == (8, 3)


def test_an_old_error_does_not_stay(evaluator: EagerEvaluator) -> None:
    atoms = molecule("CH4")
    atoms.info["mhff_error"] = "structures[0]: it was broken"
    (found,) = mhff.compute(evaluator, [atoms], "molecules")
    assert "mhff_error" not in found.info


def test_one_object_that_moves(evaluator: EagerEvaluator) -> None:
    """A loop may change one structure again and again: each yield is computed as it was."""

    def trajectory() -> Iterator[Atoms]:
        atoms = molecule("CH4")
        for _ in range(5):
            yield atoms
            atoms.rattle(0.05, seed=len(seen))
            seen.append(atoms.positions.copy())

    seen: list[np.ndarray] = []
    found = list(mhff.compute(evaluator, trajectory(), "molecules"))
    assert len({atoms.get_potential_energy() for atoms in found}) == 5
    assert all(
        np.array_equal(atoms.positions, positions)
        for atoms, positions in zip(found[1:], seen, strict=False)
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_a_stream_without_an_end(evaluator: EagerEvaluator, workers: int) -> None:
    asked = []

    def endless() -> Iterator[Atoms]:
        for number in count():
            asked.append(number)
            yield molecule("CH4")

    found = mhff.compute(evaluator, endless(), "molecules", memory=SMALL_MEMORY, workers=workers)
    assert [len(next(found)) for _ in range(30)] == [5] * 30
    found.close()
    assert len(asked) < 1000, "it reads far ahead"


def test_extrapolation_is_warned_of_once(evaluator: EagerEvaluator) -> None:
    heads = evaluator.capabilities.heads
    known = random_model("mh1", n_channels=4, correlation=2)
    known.heads = mhff.Heads([head.model_copy(update={"elements": ("H",)}) for head in heads])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        list(mhff.compute(known, [molecule("CH4")] * 40, "molecules", form="eager", workers=0))
    sentences = [str(each.message) for each in caught]
    assert [each for each in sentences if "was not trained on C" in each] == sentences[:1]


def test_what_concerns_all_is_refused_at_once(evaluator: EagerEvaluator) -> None:
    for settings, why in (
        ({"head": "moleculs"}, "unknown head"),
        ({"head": []}, "at least one head"),
        ({"head": ["molecules", "molecules"]}, "none twice"),
        ({"head": ["molecules", "bulk"]}, "unknown head"),
        ({"head": "molecules", "properties": ["energy", "charges"]}, "unknown property 'charges'"),
        ({"head": "molecules", "memory": 0}, "more than 0 GB"),
    ):
        with pytest.raises(MHFFError, match=why):
            mhff.compute(evaluator, [], **settings)


def test_no_head_at_all(evaluator: EagerEvaluator) -> None:
    (found,) = mhff.compute(evaluator, [molecule("CH4")])
    assert "no head given" in found.info["mhff_error"]


def test_what_is_no_structure(evaluator: EagerEvaluator) -> None:
    with pytest.raises(MHFFError, match=r"expected ASE's Atoms, got str as structures\[0\]"):
        list(mhff.compute(evaluator, "many.extxyz", "molecules"))  # type: ignore[arg-type]
