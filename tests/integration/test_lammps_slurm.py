"""The Slurm script of the examples, with a stand-in for `srun` that writes down its call."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "lammps"
SCRIPT = EXAMPLES / "slurm" / "kokkos-cuda.sh"
SRUN = """#!/bin/sh
echo "threads $OMP_NUM_THREADS, binding $OMP_PROC_BIND" > called
echo "$@" >> called
"""


@pytest.fixture
def called(tmp_path: Path) -> list[str]:
    """How `srun` was called by the script, in an environment with 8 cores per rank."""
    environment = tmp_path / "environment"
    programs = environment / "bin"
    programs.mkdir(parents=True)
    (programs / "srun").write_text(SRUN)
    (programs / "srun").chmod(0o755)
    (programs / "activate").write_text(f"PATH={programs}:$PATH\n")
    variables = {
        "PATH": "/usr/bin:/bin",
        "MHFF_ENVIRONMENT": str(environment),
        "SLURM_CPUS_PER_TASK": "8",
    }
    subprocess.run(["bash", SCRIPT], cwd=tmp_path, env=variables, check=True)
    return (tmp_path / "called").read_text().splitlines()


def test_each_rank_has_one_gpu_and_its_own_cores(called: list[str]) -> None:
    threads, command = called
    assert threads == "threads 8, binding false"
    assert command.startswith("--cpu-bind=cores lmp -k on g 1 -sf kk ")
    assert "-pk kokkos newton on neigh half" in command
    assert "#SBATCH --gpus-per-task=1" in SCRIPT.read_text()


def test_the_input_takes_the_number_of_steps(called: list[str]) -> None:
    *_, command = called
    name = re.search(r"-in (\S+) -var steps \d+$", command)
    assert name
    assert "variable      steps index" in (EXAMPLES / name[1]).read_text()
