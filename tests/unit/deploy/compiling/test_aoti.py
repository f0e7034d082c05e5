"""Options of AOTInductor: those a torch may lack, and the C++ library of programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mhff.errors import MHFFError
from mhff.options import InstructionSet
from mhff_deploy.compiling import aoti


def test_a_torch_without_portable_instructions_refuses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch 2.11 has no option for them and raised AttributeError."""
    assert "cpp.march" in aoti.options_of_torch()
    monkeypatch.setattr(aoti, "options_of_torch", frozenset)
    program = torch.fx.symbolic_trace(torch.nn.Identity())
    with pytest.raises(MHFFError, match=r"cannot compile for x86-64-v3 .*--isa native"):
        aoti.compile_aoti(program, (torch.zeros(1),), InstructionSet.X86_64_V3)


COMPILE_AND_LOAD = """
import sys, torch, torch._inductor
from mhff_deploy.compiling.aoti import _libraries
program = torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),))
options = {"cpp.vec_isa_ok": False} | (_libraries() if sys.argv[2] == "ours" else {})
file = torch._inductor.aoti_compile_and_package(
    program, package_path=sys.argv[1] + "/p.pt2", inductor_configs=options)
torch._C._aoti.AOTIModelPackageLoader(file, "model", False, 1, -1)
"""
STATIC_COMPILER = """#!/bin/sh
case " $* " in *" -shared "*) exec g++ "$@" -static-libstdc++;; esac
exec g++ "$@"
"""


@pytest.mark.slow
@pytest.mark.parametrize("options", ["ours", "torch"])
def test_a_compiler_with_a_static_library_makes_programs_that_load(
    options: str, tmp_path: Path
) -> None:
    """A program with a C++ library of its own crashed on a lent machine when it was loaded.

    With torch's own options it still does not load, so the test would notice the fault.
    """
    compiler = tmp_path / "g++-static"
    compiler.write_text(STATIC_COMPILER)
    compiler.chmod(0o755)
    cache = tmp_path / "cache"
    environment = os.environ | {"CXX": str(compiler), "TORCHINDUCTOR_CACHE_DIR": str(cache)}
    command = [sys.executable, "-c", COMPILE_AND_LOAD, str(tmp_path), options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == (options == "ours"), done.stderr
