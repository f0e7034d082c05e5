"""An imported file gives mace-torch's numbers: every option, every head, float64 and float32.

The docstring of `compare` says what errors are relative to.
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import CASES, OPTIONS
from compare import QUANTITIES, Deviation, deviations, imported
from geometries import ALWAYS, SOMETIMES, WITHOUT_PAIRS
from table import TABLE, title

RELATIVE = 1e-10
"""float64."""
NOTHING = 1e-12
"""eV, eV/A, eV/A^3: what may be there in float64 where the reference is zero."""
FORCE = 1e-9
"""eV/A, float64, however large the forces are."""
SINGLE_PRECISION = 1e-5
"""float32."""
PEERS = 3.0
"""Limit in units of mace-torch's own float32 error, where that exceeds SINGLE_PRECISION."""
SEEN = {"energy": 1e-3, "energies": 1e-3, "forces": 1e-4, "stress": 1e-7}
"""Magnitudes from which on an error is seen: at least five orders above what float64 allows."""


def chosen(case: str, dtype: str, quantity: str) -> list[Deviation]:
    return [d for d in deviations(case) if d.dtype == dtype and d.quantity == quantity]


def has_derivatives(case: str) -> bool:
    return CASES[case].options["radial"] != "chebyshev"


@pytest.mark.parametrize("case", CASES)
def test_float64(case: str) -> None:
    found = [d for quantity in QUANTITIES for d in chosen(case, "float64", quantity)]
    wrong = [
        d
        for d in found
        if not d.error <= RELATIVE * d.scale + NOTHING
        or not (d.quantity != "forces" or d.error <= FORCE)
    ]
    assert not wrong, wrong


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_float32(case: str, quantity: str) -> None:
    """Per model, because mace-torch's own error in one structure may be small by luck.

    Its errors in the large box are left out: it rounds coordinates before it subtracts them, and
    mhff does not.
    """
    found = chosen(case, "float32", quantity)
    peers = max((d.peer_relative for d in found if d.structure != "large_box"), default=0.0)
    wrong = [d for d in found if not d.relative <= max(SINGLE_PRECISION, PEERS * peers)]
    assert not wrong, wrong


@pytest.mark.parametrize("case", CASES)
def test_there_is_something_to_compare(case: str) -> None:
    found = [d for d in deviations(case) if d.structure not in WITHOUT_PAIRS]
    assert {d.quantity for d in found} >= {"energy", "energies"} | (
        {"forces", "stress"} if has_derivatives(case) else set()
    )
    small = [d for d in found if d.magnitude < SEEN[d.quantity]]
    assert not small, small


@pytest.mark.parametrize("case", CASES)
def test_cutoff_is_the_number_in_the_file(case: str) -> None:
    """In a file built in float32 it is the float32 nearest to 4.3, which decides some edges."""
    r_max, built = CASES[case].options["r_max"], CASES[case].options["file"].split()[0]
    assert imported(case).r_max == float(np.dtype(built).type(r_max))


def test_there_are_enough_triples() -> None:
    triples = {(d.case, d.structure, d.head) for case in CASES for d in deviations(case)}
    assert len(triples) >= 200


def test_table_has_every_option_value_and_structure() -> None:
    """Numbers are not compared: `python tests/parity/table.py` writes them anew."""
    lines = TABLE.read_text().splitlines()
    titles = [title(option, value) for option, values in OPTIONS.items() for value in values]
    titles += [f"structure: {name}" for name in (*ALWAYS, *SOMETIMES)]
    found = {
        line.split("|")[1].strip(): int(line.split("|")[2])
        for line in lines
        if line.startswith("| ") and ":" in line
    }
    assert set(found) == set(titles)
    assert min(found.values()) > 0
