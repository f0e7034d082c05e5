"""What OpenMM pickles and calls: it reads back without loading anything, and explains failures."""

from __future__ import annotations

import pickle
import subprocess
import sys
from types import SimpleNamespace

import pytest

from mhff.errors import MHFFError
from mhff_openmm.computation import MHFFComputation
from mhff_openmm.parameters import Parameters
from mhff_openmm.program import Program


def computation() -> MHFFComputation:
    return MHFFComputation(
        Program("gone.mhff", "0" * 64, None, "cpu", "float32", ("H", "O")),
        bytes([0, 1]),
        Parameters("mhff", ("a", "b")),
        (0.0, 1.0),
        False,
        1.0,
    )


def test_reading_a_computation_loads_nothing_and_cannot_fail():
    code = (
        "import pickle, sys; import mhff_openmm; "
        f"computation = pickle.loads({pickle.dumps(computation())!r}); "
        "assert computation.species == bytes([0, 1]); "
        "print([name for name in ('torch', 'openmm', 'vesin', 'ase', 'numpy') if name in "
        "sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (MHFFError("a sentence"), "a sentence"),
        (KeyError("q"), "mhff could not evaluate this step: KeyError: 'q'"),
        (KeyboardInterrupt(), "interrupted by the user while mhff evaluated a step"),
    ],
)
def test_text_of_an_exception_says_all(error, sentence):
    def fail() -> None:
        raise error

    with pytest.raises((MHFFError, RuntimeError)) as caught:
        computation()(SimpleNamespace(getParameters=fail))
    assert str(caught.value) == sentence
