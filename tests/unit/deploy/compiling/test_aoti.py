"""Options of AOTInductor that a torch may lack."""

from __future__ import annotations

import pytest
import torch

from mhff.errors import MHFFError
from mhff.options import InstructionSet
from mhff_deploy.compiling import aoti


def test_a_torch_without_portable_instructions_refuses_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """torch 2.11 has no option for them and raised AttributeError."""
    assert "cpp.march" in aoti.options_of_torch()
    monkeypatch.setattr(aoti, "options_of_torch", frozenset)
    program = torch.fx.symbolic_trace(torch.nn.Identity())
    with pytest.raises(MHFFError, match=r"cannot compile for x86-64-v3 .*--isa native"):
        aoti.compile_aoti(program, (torch.zeros(1),), InstructionSet.X86_64_V3)
