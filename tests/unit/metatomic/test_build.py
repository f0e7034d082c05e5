"""What a file says of itself: outputs, elements, range, citations."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from mhff.atoms import species_by_number
from mhff.capabilities import Capabilities
from mhff.errors import MHFFError, TooManyElementsError
from mhff.heads import Head, Heads
from mhff.mixes import make_mix
from mhff.options import Precision
from mhff_metatomic import build

PBE = Head(name="pbe", level_of_theory="PBE", elements=("O", "Mg"), citation="A 2020")
SCAN = Head(name="scan", level_of_theory="r2SCAN")
CAPABILITIES = Capabilities(
    heads=Heads([PBE, SCAN]),
    elements=("O", "Mg"),
    r_max=4.5,
    n_layers=2,
    precision=Precision.FLOAT32,
    default_head="scan",
    mixes=(make_mix("half", [("pbe", 0.5), ("scan", 0.5)]),),
)


def test_every_head_and_mix_is_a_variant() -> None:
    rows = {name: row.tolist() for name, row in build.rows(CAPABILITIES).items()}
    assert rows == {
        "energy": [0.0, 1.0],
        "energy/pbe": [1.0, 0.0],
        "energy/scan": [0.0, 1.0],
        "energy/half": [0.5, 0.5],
    }


def test_capabilities() -> None:
    found = build.capabilities(CAPABILITIES)
    assert set(found.outputs) == set(build.rows(CAPABILITIES))
    assert {output.unit for output in found.outputs.values()} == {"eV"}
    assert found.outputs["energy/pbe"].description == (
        "energy by the head pbe: PBE, trained on O, Mg"
    )
    assert (found.atomic_types, found.interaction_range) == ([8, 12], 9.0)
    assert (found.length_unit, found.supported_devices) == ("angstrom", ["cpu"])
    assert found.dtype == "float32"


def test_elements_by_atomic_number() -> None:
    species = species_by_number(CAPABILITIES.elements)
    assert species[[8, 12]].tolist() == [0, 1]
    assert int((species >= 0).sum()) == 2


class Evaluator:
    """An evaluator of a program."""

    def __init__(self, kernels: str) -> None:
        self.manifest = self
        self.capabilities = CAPABILITIES
        self.kernels = kernels


def test_programs_that_metatomic_cannot_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_many(*_: Any) -> torch.nn.Module:
        raise TooManyElementsError("too many")

    monkeypatch.setattr(build, "load_artefact", lambda artefact, name: Evaluator(""))
    with pytest.raises(MHFFError, match=r"^'M' has no kernels"):
        build.build_model(b"", "M")
    monkeypatch.setattr(build, "load_artefact", lambda artefact, name: Evaluator("mhff_0"))
    monkeypatch.setattr(build, "script_without_python", too_many)
    with pytest.raises(MHFFError, match=r"got 2; choose those of the simulation with --elements"):
        build.build_model(b"", "M")
