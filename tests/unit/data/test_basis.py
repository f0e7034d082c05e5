"""The correction of the shipped periodic sets for their basis."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from mhff.data.keys import DEFAULT_SETTING, Keys
from mhff.data.reading import label_frames
from mhff.data.suspicion import stress_suspicion

ROOT = Path(__file__).parents[3]
MAX_EXCESS = 0.03
"""Largest relative excess of plane waves in small cells."""
MIN_EXCESS = 1e-3
"""An excess that is smaller with many k-points, and larger with one."""


@pytest.fixture
def basis(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "data/generate"))
    import basis

    yield basis
    del sys.modules["basis"]


def test_many_k_points_have_the_expected_number_of_plane_waves(basis: ModuleType) -> None:
    cell = np.array([[3.1, 0, 0], [0.4, 2.9, 0], [-0.2, 0.7, 3.4]])
    scales = np.linspace(0.95, 1.05, 11)
    one, many = (
        max(abs(basis.excess(scale * cell, (n, n, n))) for scale in scales) for n in (1, 6)
    )
    assert many < MIN_EXCESS < one < MAX_EXCESS


def test_a_frame_may_be_corrected_twice(basis: ModuleType) -> None:
    frame = read(ROOT / "data/materials.extxyz", 20)
    once = basis.with_smooth_basis(frame)
    twice = basis.with_smooth_basis(once)
    assert once.info["raw_energy"] == frame.info.get("raw_energy", frame.info["REF_energy"])
    assert once.info["REF_energy"] != once.info["raw_energy"]
    assert twice.info["REF_energy"] == once.info["REF_energy"]
    np.testing.assert_array_equal(twice.info["REF_stress"], once.info["REF_stress"])
    change = once.info["REF_stress"] - once.info["raw_stress"]
    assert change[:3] == pytest.approx([basis.slope(frame) / frame.get_volume()] * 3)
    assert np.abs(change[3:]).max() == 0


def as_labelled(frame: Atoms) -> Atoms:
    """The frame with the labels of the program."""
    raw = frame.copy()
    for label in ("energy", "stress"):
        raw.info[f"REF_{label}"] = raw.info.pop(f"raw_{label}", raw.info[f"REF_{label}"])
    return raw


def test_corrected_stresses_agree_with_the_energies(basis: ModuleType) -> None:
    path = ROOT / "data/materials.extxyz"
    frames = [as_labelled(frame) for frame in read(path, ":") if len(frame) > 1]

    def judged(frames: list[Atoms]) -> str | None:
        return stress_suspicion(label_frames(frames, Keys(), DEFAULT_SETTING, path))

    assert "contradict the energies" in str(judged(frames))
    assert judged([basis.with_smooth_basis(frame) for frame in frames]) is None
