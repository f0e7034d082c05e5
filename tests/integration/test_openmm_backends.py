"""TorchForce in the environment of openmm-torch, which has its own torch and OpenMM."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from left_out import python_with_plugin

ROOT = Path(__file__).parents[2]
FOLDERS = (".", "deploy", "lammps_plugin", "openmm_plugin", "benchmarks")
"""Those with packages of mhff."""
TESTS = ROOT / "tests" / "openmmtorch"


@pytest.fixture(scope="module")
def metadata(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that describes mhff as an installed package, because it finds its parts that way."""
    folder = tmp_path_factory.mktemp("metadata")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    described = folder / "mhff-0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: mhff\nVersion: 0\n")
    lines: list[str] = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (described / "entry_points.txt").write_text("\n".join(lines))
    return folder


def run_tests(name: str, metadata: Path) -> None:
    """Run a file of tests in the other environment; all must pass."""
    python = python_with_plugin()
    paths = [*(str(ROOT / folder) for folder in FOLDERS), str(metadata)]
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", TESTS / name]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert re.search(r"\b\d+ passed", done.stdout)
    assert "skipped" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["torch_numbers.py", "torch_usage.py"])
def test_torch_force(name: str, metadata: Path) -> None:
    run_tests(name, metadata)
