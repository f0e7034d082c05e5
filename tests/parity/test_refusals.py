"""mace-torch's files that mhff cannot reproduce are refused, each in a sentence that says why."""

from __future__ import annotations

import re

import pytest
from references import references

from mhff.errors import MHFFError
from mhff.interop.mace.importer import import_model

REASONS = {
    "attention_block": "RealAgnosticAttResidualInteractionBlock",
    "cuequivariance_layout": "cuequivariance",
    "dipole_model": "AtomicDipolesMACE",
    "embedding_of_temperature": "elec_temp",
    "embedding_per_node": "per node",
    "energy_dipole_model": "EnergyDipolesMACE",
    "hidden_above_max_ell": r"hidden_lmax \(2\) cannot exceed l_max \(1\)",
    "hidden_both_parities": "4x0e.4x0o.4x1o.4x1e",
    "hidden_pseudovectors": "4x0e.4x1e",
    "state_dict": "holds a dictionary",
    "torchscript": "TorchScript",
    "training_checkpoint": "checkpoint",
    "unequal_edge_channels": "4x0e.3x1o",
    "use_so3": "use_so3",
}


def test_all_files_are_tried() -> None:
    assert {path.stem for path in references().refused("any").parent.iterdir()} == set(REASONS)


@pytest.mark.parametrize("name", REASONS)
def test_is_refused(name: str) -> None:
    with pytest.raises(MHFFError, match=REASONS[name]) as refusal:
        import_model(references().refused(name))
    sentence = str(refusal.value)
    assert f"{name}.model" in sentence
    assert not re.search(r"\n|\.$|Error|<", sentence)
