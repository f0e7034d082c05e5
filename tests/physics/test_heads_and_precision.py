"""One evaluation gives all heads, any mix, any head per atom; float32 stays near float64."""

from __future__ import annotations

import numpy as np
import pytest
from differences import derivative
from models import HEADS
from structures import rattled_bulk, slab, triclinic, water_cluster
from tolerances import (
    FINITE_DIFFERENCES,
    ROUNDING,
    SINGLE_PRECISION,
    assert_close,
    assert_close_to_scale,
)

from mhff import MHFFCalculator
from mhff.modelfile import Model

BUILDS = [triclinic, slab, water_cluster]


def results(model: Model, atoms, head, dtype: str = "float64") -> dict:
    calculator = MHFFCalculator(model, head=head, dtype=dtype, form="eager")
    calculator.calculate(atoms, ["energy", "forces"])
    return calculator.results


@pytest.mark.parametrize("build", BUILDS)
def test_one_evaluation_gives_every_head(model: Model, build) -> None:
    single = {head: results(model, build(), head) for head in HEADS}
    energies = [single[head]["energy"] for head in HEADS]
    assert len({round(energy, 6) for energy in energies}) == len(HEADS)
    for head in HEADS:
        assert_close([single[head]["head_energies"][name] for name in HEADS], energies, ROUNDING)


def test_a_mix_is_the_weighted_sum(model: Model) -> None:
    mix = {"materials": 0.7, "molecules": 0.5, "surfaces": -0.2}
    single = {head: results(model, triclinic(), head) for head in mix}
    mixed = results(model, triclinic(), mix)
    for quantity in ("energy", "energies", "forces", "stress"):
        expected = sum(weight * np.asarray(single[head][quantity]) for head, weight in mix.items())
        assert_close(mixed[quantity], expected, ROUNDING)


def test_a_head_per_atom(model: Model) -> None:
    atoms = slab()
    names = np.array([HEADS[i % 3] for i in range(len(atoms))])
    atoms.arrays["mhff_head"] = names
    found = results(model, atoms, "materials")
    single = {head: results(model, slab(), head)["energies"] for head in HEADS}
    assert_close(found["energies"], [single[name][i] for i, name in enumerate(names)], ROUNDING)

    atoms.calc = MHFFCalculator(model, head="materials", form="eager")
    start, direction = (
        atoms.positions.copy(),
        np.random.default_rng(4).normal(size=atoms.positions.shape),
    )

    def energy(step: float) -> float:
        atoms.positions = start + step * direction
        return atoms.get_potential_energy()

    assert_close((found["forces"] * direction).sum(), -derivative(energy), FINITE_DIFFERENCES)


@pytest.mark.parametrize("build", [rattled_bulk, slab, water_cluster])
def test_single_precision(model: Model, build) -> None:
    double, single = (
        results(model, build(), "surfaces"),
        results(model, build(), "surfaces", "float32"),
    )
    assert not np.array_equal(single["forces"], double["forces"])
    assert_close(
        single["energies"], double["energies"], SINGLE_PRECISION._replace(relative=0.0)
    )  # E0s stay in float64
    assert_close_to_scale(single["forces"], double["forces"], SINGLE_PRECISION)
