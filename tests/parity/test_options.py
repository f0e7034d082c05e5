"""The cases cover the option space: every value, and every pair of values that can be built."""

from __future__ import annotations

import itertools

import pytest
from cases import CASES, COVERING, LATER, OPTIONS
from covering import pairs

NOT_BUILT = {
    ("hidden_lmax", 2, "max_ell", 1),  # refused at import: test_refusals
    ("hidden_lmax", 3, "max_ell", 1),
    ("hidden_lmax", 3, "max_ell", 2),
    ("hidden_lmax", 3, "correlation", 4),  # coupling tensors of gigabytes
    ("max_ell", 4, "correlation", 4),
    ("hidden_lmax", 0, "edge_irreps", "lower degree"),  # contradictions
    ("edge_irreps", "none", "edge_channels", 3),
    ("edge_irreps", "none", "edge_channels", 5),
    ("embedding", "none", "embedding_readout", True),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_every_value_is_in_a_case(option: str) -> None:
    assert {case.options[option] for case in CASES.values()} == set(OPTIONS[option])


def test_every_pair_of_values_is_in_a_case() -> None:
    covered = set().union(*(pairs(row) for row in COVERING))
    values = [
        (option, value) for option in OPTIONS for value in OPTIONS[option] if value is not None
    ]
    missing = {
        (*one, *other)
        for one, other in itertools.combinations(values, 2)
        if one[0] != other[0] and frozenset({one, other}) not in covered
    }
    of_one_layer = {
        pair
        for pair in missing
        if ("layers", 1) in (pair[:2], pair[2:]) and {pair[0], pair[2]} & {*LATER, "edge_irreps"}
    }
    assert missing - of_one_layer == NOT_BUILT
