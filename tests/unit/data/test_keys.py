"""Names of labels: defaults, and what a file's own names suggest."""

from __future__ import annotations

import pytest

from mhff.data.keys import Keys, guess_keys


@pytest.mark.parametrize(
    ("available", "given", "expected"),
    [
        ({"REF_energy", "energy"}, {}, Keys()),
        (
            {"energy", "forces"},
            {},
            Keys(energy="energy", forces="forces", stress="stress", virials="virials"),
        ),
        ({"nothing"}, {}, Keys()),
        (
            {"REF_energy", "dft_energy"},
            {"energy": "dft_energy"},
            Keys(
                energy="dft_energy", forces="dft_forces", stress="dft_stress", virials="dft_virials"
            ),
        ),
        ({"E"}, {"energy": "E"}, Keys(energy="E")),
        (
            {"energy"},
            {"forces": "f", "stress": None},
            Keys(energy="energy", forces="f", stress=None, virials=None),
        ),
        ({"REF_energy"}, {"charge": "q", "spin": None}, Keys(charge="q", spin=None)),
    ],
)
def test_guessed_names(available: set[str], given: dict[str, str | None], expected: Keys) -> None:
    assert guess_keys(available, given) == expected


def test_chosen_labels_are_those_with_a_given_name() -> None:
    assert Keys().chosen == ()
    assert set(Keys(energy="E", stress=None, spin="s").chosen) == {"energy", "spin"}
