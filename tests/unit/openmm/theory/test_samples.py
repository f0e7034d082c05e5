"""Head energies of frames: in memory, as arrays of a user's, and as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from openmm import unit

from mhff import MHFFError
from mhff_openmm import HeadEnergies
from mhff_openmm.theory.samples import joined

TABLE = """step,time (ps),energy a (kJ/mol),energy b (kJ/mol),weight a,weight b
10,0.005,-1.5,2.5,1.0,0.0
20,0.01,-1.25,2.75,0.5,0.5
"""


def test_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "heads.csv").write_text(TABLE)
    samples = HeadEnergies.read(tmp_path / "heads.csv")
    assert samples.heads == ("a", "b")
    assert samples.steps.tolist() == [10, 20]
    assert samples.times.tolist() == [0.005, 0.01]
    assert samples.energies.tolist() == [[-1.5, 2.5], [-1.25, 2.75]]
    assert samples.weights.tolist() == [[1.0, 0.0], [0.5, 0.5]]


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "heads.csv").write_text(TABLE + "30,0.015,-1.1")
    assert len(HeadEnergies.read(tmp_path / "heads.csv")) == 2


@pytest.mark.parametrize("text", ["", "step,energy\n1,2\n", TABLE + "x,y\n", TABLE + "1,2\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(MHFFError, match=r"is not a table of head energies .*HeadEnergyReporter"):
        HeadEnergies.read(tmp_path / "other.csv")


def test_files_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match=r"cannot read '.*' \(No such file or directory\); check"):
        HeadEnergies.read(tmp_path / "nowhere.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\n")
    with pytest.raises(MHFFError, match="is not a table of head energies"):
        HeadEnergies.read(tmp_path / "bytes.csv")


def test_arrays_of_a_user() -> None:
    energies = np.array([[1.0, 2.0], [3.0, 4.0]])
    samples = HeadEnergies.sampled(energies * unit.kilocalorie_per_mole, ["a", "b"], "b")
    np.testing.assert_allclose(samples.energies, 4.184 * energies, rtol=1e-15)
    assert samples.weights.tolist() == [[0.0, 1.0], [0.0, 1.0]]
    with pytest.raises(MHFFError, match=r"expected energies of the shape \[n_frames, 3\]"):
        HeadEnergies.sampled(energies, ["a", "b", "c"], "b")
    with pytest.raises(MHFFError, match=r"a Quantity as energies, got Quantity .* is not compat"):
        HeadEnergies.sampled(energies * unit.nanometer, ["a", "b"], "b")
    with pytest.raises(MHFFError, match="unknown head 'd'"):
        HeadEnergies.sampled(energies, ["a", "b"], "d")


def test_frames_are_chosen_and_joined() -> None:
    samples = HeadEnergies.sampled(np.arange(10.0).reshape(5, 2), ["a", "b"], "a")
    both = joined([samples[:2], samples[np.array([False, False, False, True, True])]])
    assert both.energies[:, 0].tolist() == [0.0, 2.0, 6.0, 8.0]
    other = HeadEnergies.sampled(np.zeros((1, 1)), ["c"], "c")
    with pytest.raises(MHFFError, match="expected frames with the heads a, b, got some with c"):
        joined([samples, other])
