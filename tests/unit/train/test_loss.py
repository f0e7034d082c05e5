"""The loss against values computed by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

from mhff.data.batch import Batch, join
from mhff.evaluate.prediction import Prediction
from mhff.graph import make_graph
from mhff.train.loss import label_counts, loss, weighted_sums
from mhff.train.sections.loss import LossSettings

HUBER = LossSettings(kind="huber", delta=0.1)
UNIVERSAL = LossSettings(kind="universal", delta=0.1)
SQUARED = LossSettings(kind="squared", delta=0.1)
EXACT = 1e-12


def two_structures(force_label: float = 0.0) -> Batch:
    """Two atoms with forces and stress; one atom with neither, whose weights are larger.

    All labels are zero but one force component.
    """
    graph = make_graph(
        edge_vectors=torch.zeros(0, 3),
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        species=torch.zeros(3, dtype=torch.int64),
        structure=torch.tensor([0, 0, 1]),
        cells=torch.zeros(2, 3, 3),
    )
    zeros = partial(torch.zeros, dtype=torch.float64)
    forces = zeros(3, 3)
    forces[1, 0] = force_label
    return Batch(
        graph=graph,
        head=torch.tensor([0, 1]),
        weights=torch.tensor([[2.0, 3.0, 5.0], [8.0, 7.0, 11.0]], dtype=torch.float64),
        energy=zeros(2),
        has_energy=torch.tensor([True, True]),
        forces=forces,
        has_forces=torch.tensor([True, False]),
        stress=zeros(2, 3, 3),
        has_stress=torch.tensor([True, False]),
        config_types=("unknown", "unknown"),
    )


def prediction(
    energy: tuple[float, float] = (0, 0), force: float = 0, stress: float = 0
) -> Prediction:
    forces = torch.zeros(3, 3, dtype=torch.float64)
    forces[1, 0] = force
    forces[2] = 7.0  # of the structure whose forces are not labelled: must not matter
    stresses = torch.zeros(1, 3, 3, dtype=torch.float64)
    stresses[0, 1, 1] = stress
    return Prediction(torch.tensor(energy, dtype=torch.float64), forces, stresses)


@pytest.mark.parametrize(
    ("predicted", "settings", "expected"),
    [
        # quadratic, two structures, weight 2, two atoms
        (prediction(energy=(0.1, 0.0)), HUBER, 2 * 0.5 * 0.05**2 / 2),
        # linear, weight 8
        (prediction(energy=(0.0, 1.0)), HUBER, 8 * 0.1 * 0.95 / 2),
        # one of six labelled components, weight 3
        (prediction(force=2.0), HUBER, 3 * 0.1 * 1.95 / 6),
        # one of nine components, weight 5
        (prediction(stress=0.03), HUBER, 5 * 0.5 * 0.03**2 / 9),
        (prediction(energy=(0.0, 1.0)), SQUARED, 8 * 1.0**2 / 2),
        (prediction(force=2.0), SQUARED, 3 * 2.0**2 / 6),
        (prediction(stress=0.03), SQUARED, 5 * 0.03**2 / 9),
        (prediction(energy=(0.0, 1.0)), UNIVERSAL, 8 * 0.1 * 0.95 / 2),
        (prediction(stress=0.03), UNIVERSAL, 5 * 0.5 * 0.03**2 / 9),
        (prediction(force=2.0), UNIVERSAL, 3 * 0.1 * 1.95 / 6),
        (prediction(force=-0.06), UNIVERSAL, 3 * 0.5 * 0.06**2 / 6),
    ],
)
def test_loss_by_hand(predicted: Prediction, settings: LossSettings, expected: float) -> None:
    assert float(loss(predicted, two_structures(), settings)) == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize(
    ("label", "delta"), [(99.9, 0.1), (100.0, 0.07), (-200.0, 0.04), (299.9, 0.04), (300.0, 0.01)]
)
def test_the_universal_loss_is_gentle_with_large_forces(label: float, delta: float) -> None:
    batch = two_structures(label)
    expected = 3 * delta * (2.0 - delta / 2) / 6
    for error in (-2.0, 2.0):
        value = float(loss(prediction(force=label + error), batch, UNIVERSAL))
        assert value == pytest.approx(expected, rel=EXACT)


def test_terms_without_labels_are_zero() -> None:
    batch = two_structures()
    none = torch.zeros(2, dtype=torch.bool)
    bare = replace(batch, has_forces=none, has_stress=none)
    predicted = prediction(energy=(0.1, 0.0), force=2.0)._replace(stress=torch.zeros(0, 3, 3))
    assert label_counts(bare).tolist() == [2, 0, 0]
    value = float(loss(predicted, bare, HUBER))
    assert value == pytest.approx(2 * 0.5 * 0.05**2 / 2, rel=EXACT)


def test_an_energy_that_is_not_labelled_does_not_count() -> None:
    batch = replace(two_structures(), has_energy=torch.tensor([True, False]))
    assert label_counts(batch).tolist() == [1, 2, 1]
    value = float(loss(prediction(energy=(0.1, 1e4)), batch, HUBER))
    assert value == pytest.approx(2 * 0.5 * 0.05**2, rel=EXACT)


def test_sums_and_counts_of_parts_add_up() -> None:
    """So the loss of a batch does not depend on the number of processes that share it."""
    batch = two_structures()
    both = join([batch, batch])
    one = prediction(energy=(0.3, 1.0), force=2.0, stress=0.3)
    two = prediction(energy=(0.1, 0.7), force=-1.0, stress=0.2)
    predicted = Prediction(*(torch.cat(pair) for pair in zip(one, two, strict=True)))
    sums = weighted_sums(one, batch, HUBER) + weighted_sums(two, batch, HUBER)
    assert label_counts(both).tolist() == (2 * label_counts(batch)).tolist() == [4, 4, 2]
    torch.testing.assert_close(sums, weighted_sums(predicted, both, HUBER), rtol=EXACT, atol=0)
