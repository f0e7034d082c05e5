"""Portable programs: one file for every processor with AVX2, with the best of its kernels there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from models import random_model

from mhff.ops.cpu.levels import lacking
from mhff.options import CompileOptions
from mhff_deploy.compiling.build import build

RUN = """
import sys
from ase.build import molecule
from mhff import MHFFCalculator
from mhff.ops.cpu.levels import best
print(best(("x86-64-v3", "x86-64-v4")))
atoms = molecule("H2O")
atoms.calc = MHFFCalculator(sys.argv[1], head="surfaces", dtype="float64")
print(atoms.get_potential_energy(), *atoms.get_forces().flatten())
"""
SAME = 1e-10
"""eV and eV/A."""


def run(program: Path, capability: str) -> subprocess.CompletedProcess[str]:
    """A process that sees a processor with this capability, torch's name in lower case."""
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    command = [sys.executable, "-c", RUN, str(program)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(bool(lacking("x86-64-v4")), reason="needs AVX-512, to do without it")
def test_a_portable_program_runs_with_and_without_avx512(tmp_path: Path) -> None:
    options = CompileOptions.model_validate(
        {"precision": "float64", "form": "torchscript", "isa": "portable", "table_error": 1e-6}
    )
    content, manifest = build(random_model("mp", n_channels=8), options, "aoti")
    assert "avx2" in manifest.instructions
    assert "avx512f" not in manifest.instructions
    program = tmp_path / "program.pt"
    program.write_bytes(content)
    names = [name.split("/", 1)[1] for name in zipfile.ZipFile(program).namelist()]
    assert {"kernels/x86-64-v3.so", "kernels/x86-64-v4.so"} <= set(names)
    found = [run(program, capability).stdout.split() for capability in ("avx512", "avx2")]
    assert [level for level, *_ in found] == ["x86-64-v4", "x86-64-v3"]
    for with_avx512, without in zip(found[0][1:], found[1][1:], strict=True):
        assert float(with_avx512) == pytest.approx(float(without), abs=SAME)
    refused = run(program, "default")
    assert "for processors with x86-64-v3, but this one lacks AVX2" in refused.stderr
