"""Reweighting of harmonic wells against their analytic free energies and averages."""

from __future__ import annotations

from typing import Any

import harmonic
import numpy as np
import pytest
from harmonic import HEADS, KT, TEMPERATURE
from openmm import unit
from pymbar import other_estimators

from mhff import MHFFError
from mhff_openmm import HeadEnergies, reweight
from mhff_openmm.reweighting.estimates import Estimate, Reweighting

STANDARD_ERRORS = 3
SAME_ESTIMATOR = 1e-6
"""kJ/mol, between two solvers of the same equations."""


def assert_agrees(estimate: Estimate, expected: float) -> None:
    value, error = estimate.value, estimate.error
    if unit.is_quantity(value):
        value, error = value._value, error._value
    assert 0 < error < 1
    assert abs(value - expected) <= STANDARD_ERRORS * error


def assert_all_agree(result: Reweighting, start: str) -> None:
    """All heads against their analytic values; `start` is the first sampled theory."""
    for head in HEADS:
        assert_agrees(result[head].mean_energy, harmonic.mean_energy(head))
        if head != start:
            assert_agrees(result[head].free_energy, harmonic.free_energy(start, head))


def test_zwanzig_from_one_trajectory() -> None:
    energies, squares = harmonic.sample(np.array([0.0, 1.0, 0.0]), 2000, seed=3)
    result = reweight(
        HeadEnergies.sampled(energies, HEADS, "stiff"),
        TEMPERATURE * unit.kelvin,
        observables={"r2": squares * unit.nanometer**2, "plain": squares},
    )
    assert result.method == "Zwanzig"
    assert list(result.theories) == ["stiff", "soft", "stiffer"]
    assert_all_agree(result, "stiff")
    for head in HEADS:
        averages = result[head].averages
        assert averages["r2"].value.unit == unit.nanometer**2
        assert_agrees(averages["r2"], harmonic.mean_square(head))
        assert averages["plain"].value == averages["r2"].value._value
    work = (energies[:, 2] - energies[:, 1]) / KT
    expected = other_estimators.exp(work)
    found = result.free_energy_difference("stiff", "stiffer")
    assert found.value._value == pytest.approx(expected["Delta_f"] * KT, abs=SAME_ESTIMATOR)
    assert found.error._value == pytest.approx(expected["dDelta_f"] * KT, rel=1e-3)


def test_bar_from_two_trajectories() -> None:
    runs = [harmonic.samples("soft", seed=1), harmonic.samples("stiffer", 1000, seed=2)]
    result = reweight(runs, TEMPERATURE, correlated=False)
    assert result.method == "BAR"
    assert [result[head].n_sampled for head in HEADS] == [1500, 0, 1000]
    assert_all_agree(result, "soft")
    differences = [(run.energies[:, 2] - run.energies[:, 0]) / KT for run in runs]
    offset = harmonic.MINIMA[2] - harmonic.MINIMA[0]
    expected = other_estimators.bar(
        differences[0] - offset / KT, offset / KT - differences[1], relative_tolerance=1e-12
    )
    found = result.free_energy_difference("soft", "stiffer")
    assert found.value._value - offset == pytest.approx(
        expected["Delta_f"] * KT, abs=SAME_ESTIMATOR
    )
    assert found.error._value == pytest.approx(expected["dDelta_f"] * KT, rel=1e-3)


def test_mbar_from_windows_on_a_path() -> None:
    """One run of windows, as a reporter gives it."""
    runs = []
    for number, fraction in enumerate((0.0, 0.25, 0.5, 0.75, 1.0)):
        weights = np.array([1 - fraction, 0.0, fraction])
        energies, _ = harmonic.sample(weights, 300, seed=number)
        mix = {"soft": 1 - fraction, "stiffer": fraction}
        runs.append(HeadEnergies.sampled(energies, HEADS, mix))
    result = reweight(runs, TEMPERATURE)
    assert result.method == "MBAR"
    assert "0.75 soft + 0.25 stiffer" in result.theories
    assert_all_agree(result, "soft")
    assert_agrees(
        result.free_energy_difference("stiffer", "stiff"), harmonic.free_energy("stiffer", "stiff")
    )
    assert "MBAR" in str(result)


def test_a_mix_as_target() -> None:
    mix = {"soft": 0.5, "stiffer": 0.5}
    result = reweight(harmonic.samples("stiff"), TEMPERATURE, targets={"half": mix, "soft": "soft"})
    assert list(result.theories) == ["stiff", "half", "soft"]
    assert result["half"].weights == {"soft": 0.5, "stiff": 0.0, "stiffer": 0.5}
    spring = 0.5 * (harmonic.SPRINGS[0] + harmonic.SPRINGS[2])
    shift = 0.5 * harmonic.DIMENSIONS * KT * np.log(spring / harmonic.SPRINGS[1])
    assert_agrees(result["half"].free_energy, -3.95e5 - harmonic.MINIMA[1] + shift)


def test_repeated_frames_do_not_shrink_the_errors() -> None:
    """A frame that is written four times is still one."""
    once = harmonic.samples("stiff", 1000)
    often = once[np.repeat(np.arange(1000), 4)]
    errors = [reweight(run, TEMPERATURE)["soft"].free_energy.error._value for run in (once, often)]
    assert errors[1] == pytest.approx(errors[0], rel=0.2)
    naive = reweight(often, TEMPERATURE, correlated=False)["soft"].free_energy.error._value
    assert naive == pytest.approx(errors[0] / 2, rel=0.2)


def far(spring: float, n_frames: int = 1000, seed: int = 1) -> np.ndarray:
    """Energies of frames of the stiff well, and of a well with another spring."""
    energies, squares = harmonic.sample(np.array([0.0, 1.0, 0.0]), n_frames, seed)
    return np.column_stack([energies[:, 1], 0.5 * spring * squares])


def test_poor_overlap_with_a_target_is_refused() -> None:
    samples = HeadEnergies.sampled(far(1e5), ("stiff", "far"), "stiff")
    with pytest.raises(MHFFError) as caught:
        reweight(samples, TEMPERATURE)
    sentence = str(caught.value)
    assert sentence.startswith("the frames overlap too little with 'far' to say anything of it")
    assert (
        "expected a margin (Wu and Kofke) of at least 1 and 10 effective samples, got" in sentence
    )
    assert sentence.endswith("give only targets that overlap: stiff")
    assert reweight(samples, TEMPERATURE, targets=["stiff"])["stiff"].effective_samples > 900


def test_luck_does_not_hide_poor_overlap() -> None:
    """With energy differences of 4 kT, some runs have many effective samples, and all are wrong."""
    for seed in range(20):
        work = np.random.default_rng(seed).normal(0, 4 * KT, 1000)
        energies = np.column_stack([np.zeros(1000), work])
        with pytest.raises(MHFFError, match="overlap too little with 'b'"):
            reweight(HeadEnergies.sampled(energies, ("a", "b"), "a"), TEMPERATURE)


@pytest.mark.parametrize(
    ("spring", "sentence"),
    [
        (3e4, r"share too few configurations: their overlap is 0\.\d+, expected at least 0.03"),
        (1e9, "share no configurations: their energy differences are .* kT apart"),
    ],
)
def test_windows_without_overlap_are_refused(spring: float, sentence: str) -> None:
    near = far(spring)
    squares = np.random.default_rng(2).normal(0, np.sqrt(KT / spring), (1000, 6)) ** 2
    there = 0.5 * squares.sum(axis=1)[:, None] * np.array([1000.0, spring])
    heads = ("stiff", "far")
    runs = [
        HeadEnergies.sampled(near, heads, "stiff"),
        HeadEnergies.sampled(there + np.array([harmonic.MINIMA[1], 0.0]), heads, "far"),
    ]
    with pytest.raises(MHFFError, match=sentence):
        reweight(runs, TEMPERATURE)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"temperature": -3}, "expected a positive temperature, got -3"),
        ({"targets": ["hard"]}, "unknown head 'hard': this model has the heads soft, stiff"),
        ({"targets": {"stiff": "soft"}}, "has the name of a sampled theory with other weights"),
        (
            {"observables": {"r": np.zeros(7)}},
            "expected one value of the observable 'r' for each of the 1500 frames, got the shape",
        ),
        (
            {"observables": {"r": np.full(1500, np.nan)}},
            "expected finite values of the observable 'r', but 1500 of 1500 frames have others",
        ),
        (
            {"observables": {"r": ["long"] * 1500}},
            "expected numbers or a Quantity as the observable 'r', got list",
        ),
        ({"observables": [1.0]}, "expected observables by name, got list"),
        (
            {"temperature": 1 * unit.nanometer},
            "expected numbers or a Quantity as temperature, got Quantity .* converts to kelvin",
        ),
        ({"temperature": [300, 310]}, r"expected a positive temperature, got \[300, 310\]"),
        ({"targets": 3}, "expected targets as names of heads, or heads and mixes by name, got 3"),
        ({"samples": np.zeros((30, 2))}, "expected head energies, got ndarray; give the samples"),
        ({"samples": "heads.csv"}, "expected head energies, got str; give the samples"),
        ({"samples": []}, "expected frames with head energies, got none"),
        ({"samples": harmonic.samples("soft", 9)}, "only 9 of the 9 frames were sampled with"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], sentence: str) -> None:
    usual = {"samples": harmonic.samples("stiff"), "temperature": TEMPERATURE}
    with pytest.raises(MHFFError, match=sentence):
        reweight(**usual | arguments)


def test_energies_that_are_not_finite_are_refused() -> None:
    samples = harmonic.samples("stiff")
    samples.energies[7, 0] = np.nan
    with pytest.raises(MHFFError, match=r"1 of 1500 frames have others, the first is number 7"):
        reweight(samples, TEMPERATURE)


def test_an_unknown_theory_in_the_result() -> None:
    result = reweight(harmonic.samples("stiff"), TEMPERATURE)
    with pytest.raises(MHFFError, match="no theory 'half' in this reweighting: there are stiff"):
        result.free_energy_difference("stiff", "half")
