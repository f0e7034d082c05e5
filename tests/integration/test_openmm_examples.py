"""The scripts of `examples/openmm` in short form: they end, and write the figures they promise."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "openmm"
TIMEOUT = 900
"""Seconds; a model may have to be compiled."""
ENVIRONMENT = os.environ | {"MPLBACKEND": "agg"}


class Example(NamedTuple):
    """A script in short form, and the signs that it worked."""

    script: str
    options: tuple[str, ...]
    figure: str
    printed: str
    """A regular expression."""


EXAMPLES_IN_SHORT = (
    Example(
        "alanine_dipeptide.py",
        ("--steps", "40"),
        "alanine-dipeptide.png",
        r"0\.02\d*,-13[0-9]{5}\.\d+,",
    ),
    Example(
        "alanine_dipeptide_in_water.py",
        ("--steps", "20"),
        "solution.png",
        r"0\.01\d*,-13[0-9]{5}\.\d+,",
    ),
    Example(
        "liquid_npt.py",
        ("--steps", "40", "--box", "1.0"),
        "liquid.png",
        r"0\.02\d*,-[0-9]{7}\.\d+,",
    ),
    Example(
        "multiple_time_steps.py",
        ("--steps", "8"),
        "multiple-time-steps.png",
        r"Amber every 0\.5 fs: \d+\.\d+ s per ps, energy within \d+\.\d+ kJ/mol",
    ),
    Example(
        "theory_path.py",
        ("--steps", "8000"),  # with 4000 the frames overlap too little in some runs
        "theory-path.png",
        r"windows with MBAR +-[0-9]{2}\.\d+ ± \d\.\d+\n",
    ),
    Example(
        "switching_heads.py",
        ("--steps", "60"),
        "switching-heads.png",
        r"with surfaces: mean energies materials -?\d+\.\d, molecules -?\d+\.\d, surfaces",
    ),
    Example(
        "reweighting.py",
        ("--steps", "4000"),
        "reweighting.png",
        r"surfaces +F = 996\d\d\.\d+ ± 0\.\d+ kJ/mol, .* O-H = 0\.9\d+ ± 0\.0\d+; \d+",
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES_IN_SHORT, ids=lambda example: example.script)
def test_example(example: Example, tmp_path: Path) -> None:
    folder = shutil.copytree(EXAMPLES, tmp_path / "openmm")
    (folder / example.figure).unlink(missing_ok=True)
    result = subprocess.run(
        [sys.executable, example.script, *example.options],
        cwd=folder,
        env=ENVIRONMENT,
        timeout=TIMEOUT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert re.search(example.printed, result.stdout), result.stdout
    picture = plt.imread(folder / example.figure)
    assert min(picture.shape[:2]) > 400
    assert picture[..., :3].std() > 0.02  # a drawing, not an empty page


def test_every_script_is_tested() -> None:
    """Scripts that are only imported, or that wrote the structures, are no examples."""
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    assert scripts - {"cluster.py", "ramachandran.py", "structures.py"} == {
        example.script for example in EXAMPLES_IN_SHORT
    }
