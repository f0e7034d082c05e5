"""Total charge and spin multiplicity: reading them, and checking them against a model."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real

import torch
from ase import Atoms

from mhff.errors import MHFFError
from mhff.graph import DEFAULT_STATE
from mhff.model.config import StateEmbedding
from mhff.model.state import QUANTITIES

CHARGE_KEY = "charge"
"""`atoms.info` entry with the total charge, e."""
SPIN_KEY = "spin"
"""`atoms.info` entry with the spin multiplicity 2S + 1."""
KEYS = dict(zip(QUANTITIES, (CHARGE_KEY, SPIN_KEY), strict=True))
MEANING = {
    "total_charge": f"a total charge (atoms.info['{CHARGE_KEY}'], charge=)",
    "total_spin": f"a spin multiplicity (atoms.info['{SPIN_KEY}'], spin=)",
}


def state_of(
    atoms: Atoms,
    embeddings: Sequence[StateEmbedding],
    default: tuple[float, float] = DEFAULT_STATE,
) -> tuple[float, float]:
    """Charge and multiplicity that a structure names, or the defaults.

    Entries that a model with these embeddings does not take are not read. Raises MHFFError for what
    is not a number.
    """
    state = list(default)
    for embedding in embeddings:
        column = QUANTITIES.index(embedding.quantity)
        state[column] = _number(atoms, KEYS[embedding.quantity], state[column])
    return state[0], state[1]


def _number(atoms: Atoms, key: str, default: float) -> float:
    value = atoms.info.get(key, default)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise MHFFError(
            f"expected a number in atoms.info['{key}'], got {value!r}; correct it or leave it out"
        ) from error


def check_state(state: torch.Tensor, embeddings: Sequence[StateEmbedding]) -> None:
    """Raise MHFFError unless a model with these embeddings knows every state, `[n, 2]`."""
    for embedding in embeddings:
        values = state[:, QUANTITIES.index(embedding.quantity)]
        lowest, highest = -embedding.offset, embedding.n_classes - 1 - embedding.offset
        if embedding.kind == "categorical":
            wrong = values[(values < lowest) | (values > highest) | (values != values.round())]
            expected = f"a whole number from {lowest} to {highest}"
        else:
            wrong = values[~torch.isfinite(values)]
            expected = "a finite number"
        if len(wrong):
            raise MHFFError(
                f"expected {expected} as {MEANING[embedding.quantity]}, got {float(wrong[0]):g}; "
                "correct it"
            )


def given_state(
    charge: float | None,
    spin: float | None,
    embeddings: Sequence[StateEmbedding],
    default: tuple[float, float] = DEFAULT_STATE,
) -> tuple[float, float]:
    """State from a user's `charge=` and `spin=`, None standing for the default.

    Raises MHFFError for a quantity that the model does not take, and for a value out of range.
    """
    taken = {embedding.quantity for embedding in embeddings}
    for quantity, value in zip(QUANTITIES, (charge, spin), strict=True):
        if value is not None and not isinstance(value, Real):
            raise MHFFError(
                f"expected a number as {KEYS[quantity]}=, got {value!r}; correct it or leave it out"
            )
        if value is not None and quantity not in taken:
            word = quantity.replace("_", "-")
            raise MHFFError(f"this model has no {word} input; remove {KEYS[quantity]}={value:g}")
    state = (default[0] if charge is None else charge, default[1] if spin is None else spin)
    check_state(torch.tensor([state], dtype=torch.float64), embeddings)
    return state
