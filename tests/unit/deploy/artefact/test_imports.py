"""What is imported before a first result: torch's compiler takes a second, and is not needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from models import random_model
from programs import artefact

LOAD = """
import sys
from mhff import load
load(sys.argv[1])
"""
FIRST_STEP = """
import sys
from ase.build import molecule
from mhff import MHFFCalculator
atoms = molecule("H2O")
atoms.calc = MHFFCalculator(sys.argv[1])
atoms.get_forces()
"""
WITHOUT_COMPILER = """
assert "torch" in sys.modules
slow = ("torch._dynamo", "sympy", "scipy.interpolate")
assert not [name for name in sys.modules if name.startswith(slow)]
"""


def run(code: str, argument: Path) -> None:
    command = [sys.executable, "-c", code + WITHOUT_COMPILER, str(argument)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_model_is_loaded_without_torchs_compiler(tmp_path: Path) -> None:
    random_model("mh1").save(tmp_path / "model.mhff")
    run(LOAD, tmp_path / "model.mhff")


@pytest.mark.slow
def test_a_program_takes_its_first_step_without_torchs_compiler(tmp_path: Path) -> None:
    model = random_model("mh1", n_channels=8, n_edge_channels=8)
    content, _ = artefact(model, head="surfaces", form="torchscript")
    (tmp_path / "program.pt").write_bytes(content)
    run(FIRST_STEP, tmp_path / "program.pt")
