"""What stands in for a Context by mistake is refused."""

from __future__ import annotations

import openmm
import pytest

from mhff.errors import MHFFError
from mhff_openmm import energy_derivative, head_energies

SENTENCE = "expected an OpenMM Context, got System; give simulation.context"


def test_systems_are_no_contexts() -> None:
    with pytest.raises(MHFFError, match=SENTENCE):
        head_energies(openmm.System())
    with pytest.raises(MHFFError, match=SENTENCE):
        energy_derivative(openmm.System(), "mhff_lambda")
