"""Charge and spin: where they come from, which ones a model takes, and that they matter to it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import structures
import torch
from models import random_model, tiny_model
from tolerances import ROUNDING, SAME_NUMBERS, assert_close

from mhff import MHFFCalculator
from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.graph import collate
from mhff.model.config import StateEmbedding
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.modelfile import Model
from mhff.state import check_state, given_state, state_of

SPIN = StateEmbedding(quantity="total_spin", kind="categorical", width=3, n_classes=5)
CHARGE = StateEmbedding(quantity="total_charge", kind="categorical", width=3, n_classes=7, offset=3)
SMOOTH_CHARGE = StateEmbedding(quantity="total_charge", kind="continuous", width=4)


@pytest.fixture(scope="module")
def model() -> Model:
    """A spin from 0 to 4 by a table, a charge by a network."""
    return random_model("omol")


def energy(model: Model, **info: Any) -> float:
    atoms = structures.water_cluster()
    atoms.info.update(info)
    atoms.calc = MHFFCalculator(model, head="molecules", form="eager")
    return float(atoms.get_potential_energy())


def test_the_defaults_are_a_neutral_singlet(model: Model) -> None:
    assert energy(model) == energy(model, charge=0, spin=1)
    both = model.network.config.state_embeddings
    assert state_of(structures.water_cluster(), both) == (0.0, 1.0)
    assert state_of(structures.water_cluster(), both, (2.0, 3.0)) == (2.0, 3.0)


def test_charge_and_spin_matter(model: Model) -> None:
    energies = [
        energy(model),
        energy(model, charge=1),
        energy(model, charge=-1),
        energy(model, spin=3),
    ]
    assert np.diff(sorted(energies)).min() > 1e-4


def test_a_change_of_charge_is_noticed(model: Model) -> None:
    atoms = structures.water_cluster()
    atoms.calc = MHFFCalculator(model, head="molecules", form="eager")
    before = atoms.get_potential_energy()
    atoms.info["charge"] = 1
    assert atoms.get_potential_energy() == energy(model, charge=1) != before


def test_models_without_state_ignore_what_a_structure_says() -> None:
    model = random_model("mh1")
    assert energy(model, charge=5, spin=2) == energy(model)


def test_structures_of_a_batch_keep_their_own_state(model: Model) -> None:
    one, other = structures.water_cluster(), structures.triclinic()
    other.info.update(charge=-2, spin=4)
    network = model.network.double()
    embeddings = model.network.config.state_embeddings
    graphs = [
        graph_from_atoms(atoms, model.elements, model.r_max, state_of(atoms, embeddings))
        for atoms in (one, other)
    ]
    both = collate(graphs)
    assert both.state[:, 0].tolist() == [0.0] * len(one) + [-2.0] * len(other)
    weights = torch.ones(both.n_local, len(model.heads), dtype=torch.float64)
    found, _ = energies_and_edge_gradients(network, both, weights)
    alone = [energies_and_edge_gradients(network, g, weights[: g.n_local])[0] for g in graphs]
    assert_close(found, torch.cat(alone), SAME_NUMBERS)


def test_the_categorical_embedding_by_hand(model: Model) -> None:
    """silu(W [table row of the spin, network of the charge])."""
    embedding = random_model("omol").network.double().state_embedding
    assert embedding is not None
    weights = dict(embedding.named_parameters())
    spin = weights["embeddings.0.weight"][3]
    hidden = torch.nn.functional.silu(
        weights["embeddings.1.weight_1"][:, 0] * -2 + weights["embeddings.1.bias_1"]
    )
    charge = weights["embeddings.1.weight_2"] @ hidden + weights["embeddings.1.bias_2"]
    expected = torch.nn.functional.silu(weights["project"] @ torch.cat([spin, charge]))
    found = embedding(torch.tensor([[-2.0, 3.0]], dtype=torch.float64))[0]
    assert_close(found.detach(), expected.detach(), ROUNDING)


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ((-4, 1), r"expected a whole number from -3 to 3 as a total charge .*, got -4"),
        ((0.5, 1), r"expected a whole number from -3 to 3 as a total charge .*, got 0.5"),
        ((0, 5), r"expected a whole number from 0 to 4 as a spin multiplicity .*, got 5"),
        ((float("nan"), 1), r"expected a whole number from -3 to 3 as a total charge .*, got nan"),
    ],
)
def test_values_outside_the_tables_are_refused(state: tuple[float, float], sentence: str) -> None:
    with pytest.raises(MHFFError, match=sentence):
        check_state(torch.tensor([(0, 1), state], dtype=torch.float64), [SPIN, CHARGE])


def test_a_continuous_charge_takes_any_finite_number() -> None:
    check_state(torch.tensor([(0.25, 1), (-40, 1)], dtype=torch.float64), [SMOOTH_CHARGE])
    with pytest.raises(MHFFError, match=r"expected a finite number as a total charge .*, got inf"):
        check_state(torch.tensor([(float("inf"), 1)], dtype=torch.float64), [SMOOTH_CHARGE])


def test_what_is_given_to_an_engine() -> None:
    assert given_state(None, None, []) == (0.0, 1.0)
    assert given_state(-1, None, [CHARGE]) == (-1, 1.0)
    assert given_state(None, 2, [SPIN], default=(1.0, 1.0)) == (1.0, 2)
    with pytest.raises(MHFFError, match=r"^this model has no total-charge input; remove charge=1$"):
        given_state(1, None, [SPIN])
    with pytest.raises(MHFFError, match="expected a whole number from 0 to 4"):
        given_state(None, 9, [SPIN])
    for embeddings in ([], [CHARGE]):
        with pytest.raises(MHFFError, match=r"^expected a number as charge=, got 'plus one'; "):
            given_state("plus one", None, embeddings)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, "plus one", [1], {}])
def test_models_without_state_do_not_read_it(value: object) -> None:
    """A charge that was None or text broke them."""
    model = tiny_model()
    assert energy(model, charge=value, spin=value) == energy(model)


@pytest.mark.parametrize("value", [None, "plus one", [1], {}])
@pytest.mark.parametrize("key", ["charge", "spin"])
def test_a_state_that_is_not_a_number_is_refused(model: Model, key: str, value: object) -> None:
    with pytest.raises(
        MHFFError,
        match=rf"^expected a number in atoms.info\['{key}'\], got {re.escape(repr(value))};",
    ):
        energy(model, **{key: value})


def test_a_new_state_is_noticed_though_the_structure_stays(model: Model) -> None:
    atoms = structures.water_cluster()
    atoms.calc = MHFFCalculator(model, head="molecules", form="eager")
    before = atoms.get_potential_energy()
    atoms.info["spin"] = 3
    assert abs(atoms.get_potential_energy() - before) > 1e-4
