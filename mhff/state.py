"""Total charge and spin multiplicity of a structure: where they come from, and which ones a model
can take.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from ase import Atoms

from mhff.errors import MHFFError
from mhff.model.config import StateEmbedding
from mhff.model.state import DEFAULT_STATE, QUANTITIES

CHARGE_KEY, SPIN_KEY = "charge", "spin"
"""`atoms.info` entries: total charge in e; spin multiplicity 2S + 1."""
MEANING = {
    "total_charge": f"a total charge (atoms.info['{CHARGE_KEY}'], charge=)",
    "total_spin": f"a spin multiplicity (atoms.info['{SPIN_KEY}'], spin=)",
}


def state_of(atoms: Atoms, default: tuple[float, float] = DEFAULT_STATE) -> tuple[float, float]:
    """Charge and multiplicity that a structure names, or the defaults; raises MHFFError for what is
    not a number.
    """
    return _number(atoms, CHARGE_KEY, default[0]), _number(atoms, SPIN_KEY, default[1])


def _number(atoms: Atoms, key: str, default: float) -> float:
    value = atoms.info.get(key, default)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise MHFFError(
            f"expected a number in atoms.info['{key}'], got {value!r}; correct it or leave it out"
        ) from error


def check_state(state: torch.Tensor, embeddings: Sequence[StateEmbedding]) -> None:
    """Raise MHFFError unless a model with these embeddings knows every state `[n, 2]`
    (`mhff.model.state.QUANTITIES`).
    """
    for embedding in embeddings:
        values = state[:, QUANTITIES.index(embedding.quantity)]
        lowest, highest = -embedding.offset, embedding.n_classes - 1 - embedding.offset
        if embedding.kind == "categorical":
            wrong = values[(values < lowest) | (values > highest) | (values != values.round())]
            expected = f"a whole number from {lowest} to {highest}"
        else:
            wrong, expected = values[~torch.isfinite(values)], "a finite number"
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

    Raises MHFFError where one is given that the model does not take, and for values it does not
    know.
    """
    taken = {embedding.quantity for embedding in embeddings}
    for quantity, value in zip(QUANTITIES, (charge, spin), strict=True):
        if value is not None and quantity not in taken:
            raise MHFFError(
                f"this model does not take {MEANING[quantity]}, got {value:g}; leave it out"
            )
    state = (default[0] if charge is None else charge, default[1] if spin is None else spin)
    check_state(torch.tensor([state], dtype=torch.float64), embeddings)
    return state
