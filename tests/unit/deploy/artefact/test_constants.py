"""Constants of programs: stored once, and packed for the processor when they are read."""

from __future__ import annotations

import json

import pytest
import torch

from mhff_deploy.artefact import constants
from mhff_deploy.artefact.constants import PACKINGS, Constants, Packing, read_constants

CPU = torch.device("cpu")
MATRIX = torch.arange(6.0).reshape(2, 3)


@pytest.fixture
def packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library whose operators flatten, and say so with their names' length."""

    def find(namespace: str, name: str) -> object:
        assert namespace == "mhff_0123"
        return lambda matrix: torch.cat([matrix.flatten(), torch.tensor([float(len(name))])])

    monkeypatch.setattr(constants, "find", find)


@pytest.mark.usefixtures("packs")
def test_constants_come_back_in_the_form_of_the_kernels() -> None:
    plain = {"weight": torch.ones(2), "elements": torch.tensor([1, 8])}
    packings = {
        "maps": Packing("pack", (MATRIX, torch.eye(2))),
        "transposed": Packing("pack_all", (MATRIX.T,)),
    }
    content = Constants(plain, packings).to_bytes()
    found = read_constants(content).made("mhff_0123", CPU)
    assert sorted(found) == ["elements", "maps", "transposed", "weight"]
    assert torch.equal(found["elements"], plain["elements"])
    assert found["maps"].tolist() == [0, 1, 2, 3, 4, 5, 4, 1, 0, 0, 1, 4]
    assert found["transposed"].tolist() == [0, 3, 1, 4, 2, 5, 8]


def test_a_matrix_and_its_transpose_are_stored_once() -> None:
    packings = {
        "a": Packing("pack", (MATRIX, MATRIX.T.contiguous())),
        "b": Packing("pack", (MATRIX.clone(), MATRIX.double(), MATRIX.flatten())),
    }
    content = Constants({}, packings).to_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert sorted(header) == ["__metadata__", "source_0", "source_1", "source_2"]
    stored = json.loads(header["__metadata__"][PACKINGS])
    assert stored["a"] == ["pack", [["source_0", False], ["source_0", True]]]
    assert [key for key, _ in stored["b"][1]] == ["source_0", "source_1", "source_2"]


def test_a_program_may_have_no_constants_to_pack() -> None:
    found = read_constants(Constants({"a": MATRIX}, {}).to_bytes()).made("", CPU)
    assert torch.equal(found["a"], MATRIX)
