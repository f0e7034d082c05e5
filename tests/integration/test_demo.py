"""`mhff demo` from beginning to end: what it says is physics, and what it promises is written."""

from __future__ import annotations

import re
from pathlib import Path

import ase.io
import numpy as np
import pytest
from command_line import output_of, run_mhff
from tolerances import NVE_DRIFT

HEADS = ("materials", "molecules", "surfaces")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    return output_of(run_mhff("demo", "--out", folder))


def number(pattern: str, text: str) -> float:
    """The number in the one place of a text where a pattern is found."""
    (found,) = re.findall(pattern, text)
    return float(found)


@pytest.mark.slow
def test_the_crystal_is_that_of_pbe(said: str) -> None:
    assert number(r"a = ([\d.]+) A", said) == pytest.approx(4.25, abs=0.05)
    assert number(r"bulk modulus (\d+) GPa", said) == pytest.approx(150, abs=25)


@pytest.mark.slow
def test_carbon_monoxide_is_relaxed_above_the_surface(said: str, folder: Path) -> None:
    assert "not converged" not in said
    assert 2.2 < number(r"carbon ([\d.]+) A above", said) < 2.8
    last = ase.io.read(folder / "co-on-mgo.traj")
    assert np.abs(last.get_forces()).max() < 0.02


@pytest.mark.slow
def test_heads_differ_near_the_surface_and_agree_far_from_it(said: str, folder: Path) -> None:
    curves = np.loadtxt(folder / "heads.csv", delimiter=",")
    assert (folder / "heads.csv").read_text().startswith("# height/A," + ",".join(HEADS))
    near, far = curves[5, 1:], curves[-1, 1:]
    assert np.ptp(near) > 0.05
    assert np.abs(far).max() < 1e-6


@pytest.mark.slow
def test_water_conserves_its_energy_in_openmm(said: str, folder: Path) -> None:
    assert abs(number(r"energy drift (\S+) meV per atom", said)) < 1e3 * NVE_DRIFT
    assert number(r"water\.dcd has (\d+) frames", said) == 200
    assert (folder / "water.pdb").stat().st_size > 0


@pytest.mark.slow
def test_the_figure_and_every_trajectory_are_written(said: str, folder: Path) -> None:
    assert (folder / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert f"figure: {folder / 'demo.png'}" in said
    for name in ("mgo-eos.extxyz", "co-on-mgo.extxyz", "co-on-mgo.traj"):
        assert len(ase.io.read(folder / name, ":")) > 0
