"""Which elements a program has tables for, and when they are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from lowered import exact_network
from manifests import manifest

from mhff.errors import TooManyElementsError
from mhff_deploy.artefact import constants as constants_module
from mhff_deploy.artefact import tables as tables_module
from mhff_deploy.artefact.content import Tables
from mhff_deploy.artefact.tables import ProgramTables
from mhff_deploy.radial import choice
from mhff_deploy.radial.choice import ChosenTables
from mhff_deploy.radial.networks import RadialNetworks, tabulate_elements

ASKED = Tables(asked=1e-6, n_intervals=32, are_inputs=True)


class Chooser:
    """Chooses tables at once, and remembers for which elements."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(
        self,
        networks: RadialNetworks,
        program: Any,
        species: Sequence[int],
        error: float,
        n_intervals: int,
    ) -> ChosenTables:
        assert (error, n_intervals) == (ASKED.asked, ASKED.n_intervals)
        self.asked.append(list(species))
        return ChosenTables(tabulate_elements(networks, n_intervals, species), 1e-7)


def unchanged(*tensors: torch.Tensor) -> torch.Tensor | None:
    """What stands for operators of kernels."""
    return tensors[0] if tensors else None


@pytest.fixture
def chooser(monkeypatch: pytest.MonkeyPatch) -> Chooser:
    chooser = Chooser()
    monkeypatch.setattr(choice, "choose_tables", chooser)
    for module in (tables_module, constants_module):
        monkeypatch.setattr(module, "find", lambda namespace, name: unchanged)
    return chooser


def tables_of(name: str, stored: bytes | None = None) -> ProgramTables:
    network = exact_network(name)
    described = manifest(tables=ASKED, capabilities={"elements": network.config.elements})

    def program(*inputs: torch.Tensor) -> Any:
        raise AssertionError("expected no evaluation, because the chooser measures nothing")

    return ProgramTables(program, described, RadialNetworks(network).to_bytes(), stored)


def species(*indices: int) -> torch.Tensor:
    return torch.tensor(indices, dtype=torch.int64)


def test_they_are_made_once_and_new_elements_are_added(chooser: Chooser) -> None:
    tables = tables_of("mh1")
    first = tables.of(species(3, 4, 3))
    assert tables.of(species(4, 4)) is not None
    assert chooser.asked == [[3, 4]]
    second = tables.of(species(0, 4))
    assert chooser.asked == [[3, 4], [0, 3, 4]]
    assert [x.shape[0] for x in (first[2], second[2])] == [4, 9]
    assert tables.error == 1e-7


def test_a_rank_without_atoms_has_some_tables(chooser: Chooser) -> None:
    tables = tables_of("mh1")
    tables.add([])
    assert not chooser.asked
    assert len(tables.of(species())) == 5
    assert len(tables.of(species())) == 5
    assert chooser.asked == [[0]]


def test_one_table_serves_all_elements_where_radial_functions_depend_on_none(
    chooser: Chooser,
) -> None:
    tables = tables_of("mp")
    tables.of(species(3))
    tables.of(species(0, 1, 2))
    assert chooser.asked == [[3]]


def test_old_elements_are_dropped_where_all_would_be_too_large(
    chooser: Chooser, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of("mh1")
    of_pair = 4 * ASKED.n_intervals * tables.networks.width
    monkeypatch.setattr(tables_module, "MAX_TABLE_BYTES", 4 * of_pair)
    tables.of(species(3, 4))
    tables.of(species(0, 1))
    assert chooser.asked == [[3, 4], [0, 1]]
    with pytest.raises(TooManyElementsError, match=r"got 3: H, C, N, whose tables .* 0 GB; recom"):
        tables.of(species(0, 1, 2))
    assert tables.of(species(0, 1))
    assert len(chooser.asked) == 2


def test_stored_tables_are_taken(chooser: Chooser) -> None:
    made = tables_of("mh1")
    inputs = made.of(species(0, 1, 2, 3, 4))
    stored = tables_of("mh1", made.to_bytes())
    for found, right in zip(stored.of(species(2)), inputs, strict=True):
        assert torch.equal(found, right)
    assert len(chooser.asked) == 1
