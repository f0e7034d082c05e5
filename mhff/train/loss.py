"""The loss of a batch: Huber on energies per atom, force components and stress components."""

from __future__ import annotations

import torch
from torch.nn.functional import huber_loss

from mhff.data.batch import Batch
from mhff.evaluate.prediction import Prediction
from mhff.train.sections.optimisation import LossSettings


def loss(prediction: Prediction, batch: Batch, settings: LossSettings) -> torch.Tensor:
    """Weighted sum of three means over the labels of a batch; each structure has its weight.

    The means are over structures for the energy per atom (eV), and over components for forces
    (eV/A) and stress (eV/A^3).
    """
    energy = huber_loss(
        prediction.energy / batch.n_atoms,
        batch.energy / batch.n_atoms,
        reduction="none",
        delta=settings.delta,
    )
    total = settings.energy * _mean(energy, batch.weight)
    labelled = _per_atom(batch.has_forces, batch)
    weight_of_atom = _per_atom(batch.weight, batch)
    forces = huber_loss(
        prediction.forces, batch.forces, reduction="none", delta=settings.delta
    ).mean(1)
    total = total + settings.forces * _mean(forces[labelled], weight_of_atom[labelled])
    stress = huber_loss(
        prediction.stress, batch.stress[batch.has_stress], reduction="none", delta=settings.delta
    ).mean((1, 2))
    return total + settings.stress * _mean(stress, batch.weight[batch.has_stress])


def _per_atom(values: torch.Tensor, batch: Batch) -> torch.Tensor:
    return values.index_select(0, batch.graph.structure)


def _mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean of weighted values; zero if there are none."""
    return (values * weights).sum() / max(values.shape[0], 1)
