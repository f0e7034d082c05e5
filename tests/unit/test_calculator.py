"""The ASE calculator: which head, what is cached, what is refused."""

from __future__ import annotations

import re
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from models import HEADS, random_model
from structures import no_atoms, slab, tiny_cell, water_cluster
from tolerances import SAME_NUMBERS, assert_close

from mhff import MHFFCalculator, MHFFError
from mhff.heads import Head, Heads
from mhff.modelfile import Model


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model("mh1", n_channels=4, correlation=2)


@pytest.fixture
def water(model: Model) -> Atoms:
    atoms = water_cluster()
    atoms.calc = MHFFCalculator(model, head="materials", form="eager")
    return atoms


def energies(model: Model, atoms: Atoms) -> dict[str, float]:
    calculator = MHFFCalculator(model, head="materials", form="eager")
    calculator.calculate(atoms)
    return calculator.results["head_energies"]


def test_results(water: Atoms) -> None:
    assert isinstance(water.get_potential_energy(), float)
    assert water.get_potential_energy(force_consistent=True) == water.get_potential_energy()
    assert water.get_forces().shape == (9, 3)
    assert water.get_forces().dtype == water.get_potential_energies().dtype == np.float64
    assert water.get_potential_energies().shape == (9,)
    assert list(water.calc.results["head_energies"]) == list(HEADS)


def test_from_a_file_and_from_a_model(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "M.mhff")
    atoms = water_cluster()
    found = []
    for source in (model, tmp_path / "M.mhff", str(tmp_path / "M.mhff")):
        atoms.calc = MHFFCalculator(source, head="surfaces", form="eager")
        found.append(atoms.get_potential_energy())
    assert found == [found[0]] * 3


def test_no_atoms(model: Model) -> None:
    atoms = no_atoms()
    atoms.calc = MHFFCalculator(model, head="materials", form="eager")
    assert atoms.get_potential_energy() == 0
    assert atoms.get_forces().shape == (0, 3)


@pytest.mark.parametrize("head", HEADS)
def test_the_head_of_the_calculator(model: Model, head: str) -> None:
    atoms = water_cluster()
    atoms.calc = MHFFCalculator(model, head=head, form="eager")
    assert atoms.get_potential_energy() == pytest.approx(
        energies(model, water_cluster())[head], abs=1e-9
    )


def test_the_head_of_the_structure_overrides(model: Model, water: Atoms) -> None:
    expected = energies(model, water_cluster())
    for head in (
        "surfaces",
        "molecules",
        "surfaces",
    ):  # the structure stays where it is: only the head changes
        water.info["mhff_head"] = head
        assert water.get_potential_energy() == pytest.approx(expected[head], abs=1e-9)
    del water.info["mhff_head"]
    assert water.get_potential_energy() == pytest.approx(expected["materials"], abs=1e-9)


def test_a_mix_in_the_structure(model: Model, water: Atoms) -> None:
    expected = energies(model, water_cluster())
    water.info["mhff_head"] = {"surfaces": 0.5, "molecules": 0.5}
    assert water.get_potential_energy() == pytest.approx(
        0.5 * (expected["surfaces"] + expected["molecules"]), abs=1e-9
    )


def test_a_head_per_atom_overrides_all(water: Atoms) -> None:
    one = water.get_potential_energies()
    water.info["mhff_head"] = "molecules"
    other = water.get_potential_energies()
    water.arrays["mhff_head"] = np.array(["materials"] * 3 + ["molecules"] * 6)
    np.testing.assert_allclose(water.get_potential_energies(), [*one[:3], *other[3:]], atol=1e-10)
    water.arrays["mhff_head"][:] = "molecules"
    np.testing.assert_allclose(water.get_potential_energies(), other, atol=1e-10)


def test_results_are_kept_until_something_changes(
    water: Atoms, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations = []
    evaluate = water.calc.evaluator.evaluate
    monkeypatch.setattr(
        water.calc.evaluator,
        "evaluate",
        lambda *args, **names: evaluations.append(1) or evaluate(*args, **names),
    )
    water.get_potential_energy()
    water.get_forces()
    water.get_potential_energies()
    water.info["unrelated"] = 1
    water.get_forces()
    assert len(evaluations) == 1
    water.info["mhff_head"] = "surfaces"
    water.get_forces()
    water.get_potential_energy()
    assert len(evaluations) == 2
    water.positions[0, 0] += 0.01
    water.get_potential_energy()
    assert len(evaluations) == 3


def test_a_mix_that_is_changed_in_place_is_noticed(model: Model, water: Atoms) -> None:
    """The result of the old mix was kept."""
    expected = energies(model, water_cluster())
    mix = {"surfaces": 1.0, "molecules": 0.0}
    water.info["mhff_head"] = mix
    assert water.get_potential_energy() == pytest.approx(expected["surfaces"], abs=1e-9)
    mix.update(surfaces=0.0, molecules=1.0)
    assert water.get_potential_energy() == pytest.approx(expected["molecules"], abs=1e-9)


def test_heads_of_atoms_that_are_changed_in_place_are_noticed(water: Atoms) -> None:
    water.arrays["mhff_head"] = np.array(["materials"] * 9, dtype="<U9")
    before = water.get_potential_energy()
    water.arrays["mhff_head"][:3] = "molecules"
    assert abs(water.get_potential_energy() - before) > 1e-3


def test_what_a_user_does_to_the_mix_afterwards_does_not_matter(model: Model) -> None:
    """The constructor and `set_head` kept the user's own dictionary."""
    expected = energies(model, water_cluster())
    atoms, mix = water_cluster(), {"surfaces": 1.0}
    atoms.calc = MHFFCalculator(model, head=mix, form="eager")
    mix["surfaces"] = 5.0
    assert atoms.get_potential_energy() == pytest.approx(expected["surfaces"], abs=1e-9)
    mix = {"molecules": 1.0}
    atoms.calc.set_head(mix)
    mix.clear()
    assert atoms.get_potential_energy() == pytest.approx(expected["molecules"], abs=1e-9)


def test_a_head_that_is_assigned_is_noticed(model: Model, water: Atoms) -> None:
    expected = energies(model, water_cluster())
    water.get_potential_energy()
    water.calc.head = "surfaces"
    assert water.get_potential_energy() == pytest.approx(expected["surfaces"], abs=1e-9)


@pytest.mark.parametrize("head", [3, b"materials", ["materials"], 0.5, True, ("materials",)])
def test_heads_of_wrong_types_are_one_sentence(model: Model, water: Atoms, head: object) -> None:
    sentence = (
        rf"^expected a head's name, or weights by name, got {re.escape(repr(head))}; this model "
        "has the heads materials, surfaces, molecules$"
    )
    with pytest.raises(MHFFError, match=sentence):
        MHFFCalculator(model, head=head, form="eager")  # type: ignore[arg-type]
    water.get_potential_energy()
    water.info["mhff_head"] = head
    for _ in range(2):
        with pytest.raises(MHFFError, match=sentence):
            water.get_potential_energy()


def test_an_array_of_heads_where_one_is_due_is_one_sentence(water: Atoms) -> None:
    water.get_potential_energy()
    water.info["mhff_head"] = np.array(["materials", "surfaces"])
    for _ in range(2):
        with pytest.raises(MHFFError, match=r"^expected a head's name, or weights by name, got "):
            water.get_potential_energy()


@pytest.mark.parametrize("weight", ["0.5", b"1", None, [1.0]])
def test_weights_that_are_not_numbers_are_one_sentence(water: Atoms, weight: object) -> None:
    water.info["mhff_head"] = {"materials": weight}
    with pytest.raises(
        MHFFError, match=r"^expected a number as the weight of head 'materials', got .*; give one$"
    ):
        water.get_potential_energy()


def test_none_in_a_structure_is_the_calculators_own_head(water: Atoms) -> None:
    expected = water.get_potential_energy()
    water.info["mhff_head"] = None
    assert water.get_potential_energy() == expected


def test_unknown_heads_of_atoms_are_one_sentence(water: Atoms) -> None:
    water.arrays["mhff_head"] = np.array([b"materials"] * 9)
    with pytest.raises(MHFFError, match=r"""^unknown head "b'materials'": this model has"""):
        water.get_potential_energy()


def test_set_head(model: Model, water: Atoms) -> None:
    expected = energies(model, water_cluster())
    water.get_potential_energy()
    water.calc.set_head("surfaces")
    assert water.get_potential_energy() == pytest.approx(expected["surfaces"], abs=1e-9)
    with pytest.raises(MHFFError, match=r"unknown head 'x'"):
        water.calc.set_head("x")
    assert water.calc.head == "surfaces"


def test_unknown_heads_are_told_at_once(model: Model, water: Atoms) -> None:
    for head in ("x", {"materials": 0.5, "x": 0.5}, {"materials": 0.5}):
        with pytest.raises(MHFFError):
            MHFFCalculator(model, head=head, form="eager")
    water.info["mhff_head"] = "x"
    with pytest.raises(
        MHFFError,
        match=r"^unknown head 'x': this model has the heads materials, surfaces, molecules",
    ):
        water.get_potential_energy()


def test_no_head_is_refused_unless_the_structure_has_one(model: Model) -> None:
    atoms = water_cluster()
    atoms.calc = MHFFCalculator(model, form="eager")
    with pytest.raises(
        MHFFError, match=r"^no head given: this model has the heads materials, surfaces, molecules"
    ):
        atoms.get_potential_energy()
    atoms.info["mhff_head"] = "molecules"
    assert atoms.get_potential_energy() == pytest.approx(
        energies(model, water_cluster())["molecules"], abs=1e-9
    )


def test_no_head_is_needed_where_there_is_one() -> None:
    atoms = water_cluster()
    atoms.calc = MHFFCalculator(
        random_model("mp", heads=("only",), n_channels=4, correlation=1), form="eager"
    )
    assert atoms.get_potential_energy() == atoms.calc.results["head_energies"]["only"]


def test_elements_a_head_was_not_trained_on_warn_once(model: Model) -> None:
    heads = Heads([Head(name="materials", elements=("O", "Mg")), *list(model.heads)[1:]])
    trained = Model(model.network, heads)
    calculator = MHFFCalculator(trained, head="materials", form="eager")
    atoms = water_cluster()
    atoms.calc = calculator
    sentence = (
        r"^head 'materials' was not trained on H; its predictions for these elements are "
        r"extrapolations$"
    )
    with pytest.warns(UserWarning, match=sentence) as caught:
        atoms.get_potential_energy()
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        atoms.positions[0, 0] += 0.1
        atoms.get_potential_energy()
        atoms.info["mhff_head"] = "surfaces"
        atoms.get_potential_energy()


def test_numbers_that_are_not_finite_are_one_sentence(model: Model) -> None:
    """ASE got NaN where LAMMPS and OpenMM had a sentence."""
    broken = random_model("mh1", n_channels=4, correlation=2)
    with torch.no_grad():
        broken.network.layers[0].readout.weight.fill_(float("nan"))
    atoms = water_cluster()
    atoms.calc = MHFFCalculator(broken, head="materials", form="eager")
    with pytest.raises(MHFFError, match=r"^expected finite numbers, got the energy nan eV"):
        atoms.get_potential_energy()
    assert atoms.calc.results == {}


@pytest.mark.parametrize("place", [np.nan, np.inf])
def test_positions_that_are_not_finite_are_one_sentence(water: Atoms, place: float) -> None:
    water.positions[3, 1] = place
    with pytest.raises(MHFFError, match=r"finite"):
        water.get_potential_energy()


def test_threads_that_share_a_calculator_get_their_own_forces(model: Model) -> None:
    """A thread got the forces of another one's structure."""
    calculator = MHFFCalculator(model, head="materials", form="eager")
    structures = []
    for seed in range(8):
        atoms = water_cluster()
        atoms.rattle(0.1, seed=seed)
        structures.append(atoms)
    expected = [calculator.get_property("forces", atoms) for atoms in structures]
    assert len({forces.tobytes() for forces in expected}) == len(structures)

    def forces_of(number: int) -> list[np.ndarray]:
        atoms = structures[number].copy()
        atoms.calc = calculator
        return [atoms.get_forces() for _ in range(20)]

    with ThreadPoolExecutor(len(structures)) as pool:
        found = list(pool.map(forces_of, range(len(structures))))
    for results, forces in zip(found, expected, strict=True):
        for result in results:
            assert_close(result, forces, SAME_NUMBERS)


def test_stress_needs_a_cell(model: Model, water: Atoms) -> None:
    with pytest.raises(
        PropertyNotImplementedError, match=r"stress needs a cell with three lattice vectors"
    ):
        water.get_stress()
    assert "stress" not in water.calc.results
    for build in (tiny_cell, slab):
        atoms = build()
        atoms.calc = MHFFCalculator(model, head="materials", form="eager")
        assert atoms.get_stress().shape == (6,)
        assert atoms.get_stress(voigt=False).shape == (3, 3)


def test_unknown_elements(model: Model) -> None:
    atoms = Atoms("Fe")
    atoms.calc = MHFFCalculator(model, head="materials", form="eager")
    with pytest.raises(
        MHFFError, match=r"^this structure has Fe, but this model knows only H, C, N, O, Mg"
    ):
        atoms.get_potential_energy()


def test_unknown_dtype(model: Model) -> None:
    with pytest.raises(
        MHFFError, match=r"^unknown dtype 'float16': choose one of float32, float64$"
    ):
        MHFFCalculator(model, head="materials", dtype="float16", form="eager")


def test_unknown_device(model: Model) -> None:
    for device in ("gpu", "cpu:3"):
        with pytest.raises(MHFFError, match=rf"^unknown device '{device}': choose cpu or cuda$"):
            MHFFCalculator(model, head="materials", device=device, form="eager")
    with pytest.raises(
        MHFFError,
        match=r"^no device 'cuda:99': torch sees \d+ CUDA devices on this machine; use "
        r"device='cpu'$",
    ):
        MHFFCalculator(model, head="materials", device="cuda:99", form="eager")


def test_the_users_model_keeps_its_precision(model: Model) -> None:
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    energies(model, water_cluster())
    after = model.network.state_dict()
    assert all(
        torch.equal(after[name], value) and after[name].dtype == value.dtype
        for name, value in before.items()
    )
    assert model.network.layers[0].product.basis.dtype == torch.float32


def test_weights_in_float64_are_not_rounded() -> None:
    """Imported models may hold more than float32 can."""
    coarse, fine = (random_model("mh1", n_channels=4, correlation=2) for _ in range(2))
    fine.network.double()
    with torch.no_grad():
        fine.network.layers[0].interaction.linear_up.weights[0].mul_(1 + 1e-10)
    one, other = (energies(model, water_cluster())["materials"] for model in (coarse, fine))
    assert 0 < abs(one - other) < 1e-6


def test_neither_a_model_nor_an_artefact(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a model at all")
    with pytest.raises(
        MHFFError,
        match=r"^'.*notes.txt' is not an mhff file; expected one of: \.mhff model files, .*artef",
    ):
        MHFFCalculator(path, head="materials")
    with pytest.raises(MHFFError, match=r"^no file "):
        MHFFCalculator(tmp_path / "nothing.mhff")


def test_what_counts_as_a_change(water: Atoms) -> None:
    water.get_potential_energy()
    changed = {}
    for name, change in {
        "positions": lambda atoms: atoms.rattle(1e-12),
        "numbers": lambda atoms: atoms.symbols.__setitem__(0, "N"),
        "cell": lambda atoms: atoms.set_cell([9, 9, 9]),
        "pbc": lambda atoms: atoms.set_pbc(True),
        "mhff_head": lambda atoms: atoms.info.update(mhff_head="molecules"),
        "nothing": lambda atoms: atoms.set_initial_magnetic_moments(range(9)),
    }.items():
        other = water.copy()
        change(other)
        changed[name] = water.calc.check_state(other)
    assert changed.pop("nothing") == []
    assert changed == {name: [name] for name in changed}
    assert water.calc.check_state(water[:3]) == ["positions", "numbers"]


def moved(atoms: Atoms, rng: np.random.Generator) -> None:
    atoms.positions += rng.normal(0, 0.02, atoms.positions.shape)


def stretched(atoms: Atoms, rng: np.random.Generator) -> None:
    atoms.set_cell(atoms.cell[:] * 1.01 if atoms.cell.rank == 3 else 9 * np.eye(3))


def exchanged(atoms: Atoms, rng: np.random.Generator) -> None:
    atoms.numbers = rng.permutation(atoms.numbers)


def with_another_head(atoms: Atoms, rng: np.random.Generator) -> None:
    atoms.info["mhff_head"] = str(rng.choice(HEADS))


def periodic_or_not(atoms: Atoms, rng: np.random.Generator) -> None:
    atoms.pbc = not atoms.pbc.any() and atoms.cell.rank == 3


def failed(atoms: Atoms, rng: np.random.Generator) -> None:
    """A calculation of another structure that is refused."""
    gold = atoms.copy()
    gold.symbols[0] = "Au"
    gold.calc = atoms.calc
    for _ in range(2):
        with pytest.raises(MHFFError, match="Au"):
            gold.get_potential_energy()


def failed_with_another_head(atoms: Atoms, rng: np.random.Generator) -> None:
    """A calculation of the same atoms that ends after it has begun."""
    lost = atoms.copy()
    lost.info["mhff_head"] = next(name for name in HEADS if name != atoms.info.get("mhff_head"))
    lost.positions[0, 0] = np.nan
    lost.calc = atoms.calc
    with pytest.raises(MHFFError):
        lost.get_potential_energy()


def with_curvature_of_another(atoms: Atoms, rng: np.random.Generator) -> None:
    other = water_cluster()[:3]
    assert atoms.calc.get_hessian(other).shape == (9, 9)


STEPS = (
    *[moved] * 4,
    stretched,
    exchanged,
    with_another_head,
    periodic_or_not,
    failed,
    failed_with_another_head,
    with_curvature_of_another,
)


@pytest.mark.parametrize("seed", range(4))
def test_any_order_of_changes_gives_what_a_new_calculator_gives(model: Model, seed: int) -> None:
    """A calculator keeps much from one step to the next."""
    rng = np.random.default_rng(seed)
    atoms = water_cluster()
    atoms.calc = MHFFCalculator(model, head="materials", form="eager")
    fresh = atoms.copy()
    for step in rng.choice(len(STEPS), 15):
        STEPS[step](atoms, rng)
        fresh = atoms.copy()
        fresh.calc = MHFFCalculator(model, head="materials", form="eager")
        assert_close(atoms.get_forces(), fresh.get_forces(), SAME_NUMBERS)
        assert atoms.calc.results["head_energies"] == pytest.approx(
            fresh.calc.results["head_energies"]
        )
        if atoms.cell.rank == 3:
            assert_close(atoms.get_stress(), fresh.get_stress(), SAME_NUMBERS)
