"""Coupling tensors that e3nn's generated code holds."""

from __future__ import annotations

import pytest
import torch
from stand_in import CouplingCode, saved, stand_in_model

from mhff.interop.mace.generated import MACE_FORMAT, coupling_tensors
from mhff.interop.mace.refusals import UnknownModelError
from mhff.interop.torchfile.modules import ModuleRecord, read_model


def product(name: str, tensor: torch.Tensor) -> ModuleRecord:
    """A tensor product whose code holds one tensor."""
    return ModuleRecord("conv_tp", "e3nn.o3.X", {}, {}, {}, {}, frozenset(), {name: tensor})


def test_coupling_tensors_are_found_by_their_degrees() -> None:
    root = read_model(bytearray(saved(stand_in_model())), MACE_FORMAT)
    found = coupling_tensors(root.children["interactions"].children["0"].children["conv_tp"])
    expected = CouplingCode().state_dict()
    assert found.keys() == {(1, 1, 2), (1, 2, 1)}
    for (l1, l2, l3), tensor in found.items():
        assert torch.equal(tensor, expected[f"_w3j_{l1}_{l2}_{l3}"])


def test_modules_without_code_have_none() -> None:
    assert coupling_tensors(read_model(bytearray(saved(torch.nn.Linear(1, 1))), MACE_FORMAT)) == {}


def test_a_tensor_of_another_shape_is_refused() -> None:
    with pytest.raises(UnknownModelError, match="conv_tp has a _w3j_1_1_1 of another shape"):
        coupling_tensors(product("_w3j_1_1_1", torch.zeros(4)))
