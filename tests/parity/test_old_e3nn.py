"""mhff's core passes its tests with e3nn 0.4.4, in the environment of mace-torch."""

from __future__ import annotations

import subprocess

from environment import PYTHON, ROOT, is_ready

SCRIPT = """
import sys
from importlib.metadata import version
import pytest
from mhff.model.coupling import clebsch_gordan
assert version("e3nn") == "0.4.4"
# loads e3nn, which tests cannot do alone: 0.4.4 reads its constants as torch no longer allows
clebsch_gordan(1, 1, 2)
sys.exit(pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""
ARGUMENTS = (
    "tests/physics",
    "--ignore=tests/physics/test_phonons.py",  # needs phonopy, which mace-torch does not bring
    "tests/unit/model/test_coupling.py",
    "tests/unit/model/test_layers.py",
    "tests/unit/test_modelfile.py",
    "tests/unit/ops/test_operators.py",
    "tests/unit/model/test_radial.py",
)


def test_core_tests_pass() -> None:
    assert is_ready(), "this test needs mace-torch's environment in .venv-peer; run `make peer`"
    command = [PYTHON, "-c", SCRIPT, *ARGUMENTS]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
