"""The model in torch-sim: its own checks, the calculator's numbers, its batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch_sim
from ase import Atoms
from ase.build import bulk, molecule
from models import HEADS, random_model
from structures import rattled_bulk, tiny_cell
from tolerances import ROUNDING, assert_close
from torch_sim.autobatching import InFlightAutoBatcher
from torch_sim.models.interface import validate_model_outputs

from mhff import MHFFCalculator, MHFFError
from mhff.evaluator import EagerEvaluator
from mhff.modelfile import Model
from mhff.torchsim import MHFFModel

CPU = torch.device("cpu")
N_STEPS = 6


@pytest.fixture(scope="module")
def model() -> Model:
    return random_model("mh1", n_channels=4, correlation=2)


def state_of(structures: list[Atoms], dtype: torch.dtype = torch.float64) -> torch_sim.SimState:
    return torch_sim.io.atoms_to_state(structures, CPU, dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_what_torch_sim_asks_of_a_model(dtype: torch.dtype) -> None:
    """With the elements of its two test systems."""
    of_them = random_model("mh1", n_channels=4, correlation=2, elements=("Si", "Fe"))
    validate_model_outputs(MHFFModel(of_them, HEADS[0], CPU, dtype, form="eager"), CPU, dtype)


@pytest.mark.parametrize("head", ["surfaces", {"materials": 0.5, "molecules": 0.5}])
def test_the_numbers_of_the_calculator(model: Model, head: str | dict[str, float]) -> None:
    skewed = tiny_cell()
    skewed.set_cell(
        skewed.cell @ (np.eye(3) + 0.05 * np.triu(np.ones((3, 3)), 1)), scale_atoms=True
    )
    structures = [rattled_bulk(), skewed]
    found = MHFFModel(model, head, form="eager")(state_of(structures))
    first = 0
    for system, atoms in enumerate(structures):
        atoms.calc = MHFFCalculator(model, head, form="eager")
        rows = slice(first, first + len(atoms))
        assert_close(found["energy"][system], atoms.get_potential_energy(), ROUNDING)
        assert_close(found["forces"][rows], atoms.get_forces(), ROUNDING)
        assert_close(found["stress"][system], atoms.get_stress(voigt=False), ROUNDING)
        first += len(atoms)


def test_molecules_without_boundaries(model: Model) -> None:
    methane = molecule("CH4")
    found = MHFFModel(model, "molecules", form="eager")(state_of([methane, molecule("H2O")]))
    methane.calc = MHFFCalculator(model, "molecules", form="eager")
    assert_close(found["energy"][0], methane.get_potential_energy(), ROUNDING)
    assert_close(found["forces"][:5], methane.get_forces(), ROUNDING)
    assert found["stress"].isnan().all()


def test_the_state_may_be_a_dictionary(model: Model) -> None:
    mhff_model = MHFFModel(model, "materials", form="eager", compute_stress=False)
    state = state_of([rattled_bulk()])
    fields = {name: value for name, value in vars(state).items() if name != "system_idx"}
    found = mhff_model(fields)
    assert set(found) == {"energy", "forces"}
    assert torch.equal(found["energy"], mhff_model(state)["energy"])


def test_relaxation_in_batches_of_any_size(model: Model) -> None:
    """Systems are relaxed alike whatever shares their batch, and leave it when they are done."""
    mhff_model = MHFFModel(EagerEvaluator(model), "molecules", compute_stress=False)
    structures = [molecule(name) for name in ("CH4", "H2O", "CH3OH", "NH3")]
    for seed, atoms in enumerate(structures):
        atoms.rattle(0.1, seed=seed)
        atoms.set_cell([20.0] * 3)  # torch-sim's autobatcher asks for a volume
    settings = {
        "model": mhff_model,
        "optimizer": torch_sim.optimizers.fire,
        "steps_between_swaps": N_STEPS,
        "convergence_fn": lambda state, _: torch.ones(state.n_systems, dtype=torch.bool),
    }
    together = torch_sim.optimize(system=state_of(structures), **settings)
    batcher = InFlightAutoBatcher(mhff_model, memory_scales_with="n_atoms", max_memory_scaler=11)
    apart = torch_sim.optimize(system=state_of(structures), autobatcher=batcher, **settings)
    before = mhff_model(state_of(structures))["energy"]
    assert (together.energy < before).all()
    assert apart.n_systems == len(structures)
    assert_close(apart.energy, together.energy, ROUNDING)


def test_a_charge_for_all_systems() -> None:
    model = random_model("omol")
    head = model.heads.names[0]
    mhff_model = MHFFModel(model, head, form="eager")
    mhff_model.set_state(charge=-1, spin=2)
    water = molecule("H2O")
    water.info = {"charge": -1, "spin": 2}
    water.calc = MHFFCalculator(model, head, form="eager")
    found = mhff_model(state_of([water]))["energy"]
    assert_close(found, [water.get_potential_energy()], ROUNDING)
    assert abs(found - MHFFModel(model, head, form="eager")(state_of([water]))["energy"]) > 1e-6


def test_mistakes_are_sentences(model: Model) -> None:
    with pytest.raises(MHFFError, match="unknown head 'molecule'"):
        MHFFModel(model, "molecule")
    with pytest.raises(MHFFError, match="this model has no total-charge input"):
        MHFFModel(model, "molecules").set_state(charge=1)
    with pytest.raises(MHFFError, match="unknown dtype"):
        MHFFModel(model, "molecules", dtype=torch.float16)
    ready = MHFFModel(model, "molecules", form="eager")
    with pytest.raises(MHFFError, match="this structure has Si"):
        ready(state_of([bulk("Si")]))
    together = molecule("H2O")
    together.positions[1] = together.positions[0]
    with pytest.raises(MHFFError, match="system 1: atoms 1 and 0"):
        ready(state_of([molecule("H2O"), together]))
