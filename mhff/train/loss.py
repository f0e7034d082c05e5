"""The loss: sums over the labels of a batch, divided by the numbers of labels.

The energy per atom (eV) counts once per structure, forces (eV/A) once per atom, the stress (eV/A^3)
once per structure: means over their components. With the error x of a component and the setting
`delta`,

| kind      | function of x                                                         |
|-----------|-----------------------------------------------------------------------|
| huber     | x^2 / 2 up to delta, then delta (|x| - delta / 2)                     |
| universal | huber, with a smaller delta where the force label is large: see below |
| squared   | x^2                                                                   |

`universal` is the conditional Huber loss of the MACE-MP models (arXiv:2401.00096): for atoms whose
force label is at least 100, 200 and 300 eV/A long, delta is 0.7, 0.4 and 0.1 times the setting.

Sums and numbers of labels are separate, so that a batch may be divided between processes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch.nn.functional import huber_loss, mse_loss

from mhff.data.batch import Batch
from mhff.evaluate.prediction import Prediction
from mhff.train.sections.loss import LossSettings

LARGE_FORCES = (100.0, 200.0, 300.0)
"""Lengths of force labels, eV/A, from which `universal` has another delta."""
DELTA_FACTORS = (1.0, 0.7, 0.4, 0.1)
"""Factors of delta below, between and above them."""

Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Loss of each component, of predictions and labels."""


def loss(prediction: Prediction, batch: Batch, settings: LossSettings) -> torch.Tensor:
    """Loss of a batch by itself: the sum of its terms."""
    return mean(weighted_sums(prediction, batch, settings), label_counts(batch)).sum()


def weighted_sums(prediction: Prediction, batch: Batch, settings: LossSettings) -> torch.Tensor:
    """Sums `[3]`, float64, over the labels of energy, forces and stress, each with its weight."""
    function = _function(settings)
    weights = batch.weights
    n_atoms = batch.n_atoms
    energy = function(prediction.energy / n_atoms, batch.energy / n_atoms)
    of_forces = _force_function(settings, batch.forces)
    forces = of_forces(prediction.forces, batch.forces).mean(1)
    weights_of_atoms = (weights[:, 1] * batch.has_forces).index_select(0, batch.graph.structure)
    stress = function(prediction.stress, batch.stress[batch.has_stress]).mean((1, 2))
    terms = (
        energy @ (weights[:, 0] * batch.has_energy),
        forces.double() @ weights_of_atoms,
        stress.double() @ weights[batch.has_stress, 2],
    )
    return torch.stack(terms)


def label_counts(batch: Batch) -> torch.Tensor:
    """Numbers `[3]`, float64, of structures with an energy, atoms with forces, and stresses."""
    counts = (
        batch.has_energy.sum(),
        (batch.n_atoms * batch.has_forces).sum(),
        batch.has_stress.sum(),
    )
    return torch.stack(counts).double()


def mean(sums: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Mean of each term `[3]`; zero for one without labels."""
    return sums / counts.clamp(min=1)


def _function(settings: LossSettings) -> Function:
    if settings.kind == "squared":
        return partial(mse_loss, reduction="none")
    return partial(huber_loss, reduction="none", delta=settings.delta)


def _force_function(settings: LossSettings, labels: torch.Tensor) -> Function:
    """The function of the errors of forces with these labels `[n, 3]`."""
    if settings.kind != "universal":
        return _function(settings)
    lengths = torch.linalg.vector_norm(labels, dim=1, keepdim=True)
    ranges = torch.bucketize(lengths, labels.new_tensor(LARGE_FORCES), right=True)
    delta = settings.delta * labels.new_tensor(DELTA_FACTORS)[ranges]
    return partial(_huber, delta=delta)


def _huber(predicted: torch.Tensor, labels: torch.Tensor, delta: torch.Tensor) -> torch.Tensor:
    """Huber's function with its own delta for every row."""
    error = (predicted - labels).abs()
    return torch.where(error < delta, 0.5 * error * error, delta * (error - 0.5 * delta))
