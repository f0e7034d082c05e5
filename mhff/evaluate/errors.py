"""Labels against predictions, and the mean absolute errors of groups of structures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from mhff.data.batch import Batch
from mhff.evaluate.prediction import Prediction

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Comparison:
    """One structure's labels and a model's predictions."""

    head: str
    config_type: str
    species: np.ndarray
    """Species indices of the atoms, `[n]`."""
    energy: tuple[float, float] | None
    """Label and prediction, eV; None if not labelled."""
    forces: tuple[np.ndarray, np.ndarray] | None
    """Label and prediction `[n, 3]`, eV/A; None if not labelled."""
    stress: tuple[np.ndarray, np.ndarray] | None
    """Label and prediction `[3, 3]`, eV/A^3; None if not labelled."""

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.species)


@dataclass(frozen=True)
class Errors:
    """Mean absolute errors of a group of structures, with the number of values behind each.

    None stands for an error without values.
    """

    structures: int
    atoms: int
    energy: float | None
    """meV per atom; mean over structures."""
    forces: float | None
    """meV/A; mean over force components."""
    force_components: int
    stress: float | None
    """meV/A^3; mean over the six independent components."""
    stress_structures: int

    def as_dict(self) -> dict[str, Any]:
        """A JSON object whose names carry the units."""
        names = {
            "energy": "energy_mae_meV_per_atom",
            "forces": "force_mae_meV_per_A",
            "stress": "stress_mae_meV_per_A3",
        }
        return {names.get(name, name): value for name, value in asdict(self).items()}


def compare(prediction: Prediction, batch: Batch, heads: Sequence[str]) -> list[Comparison]:
    """Comparisons of a batch's structures, in their order; `heads` names the columns of heads."""
    sizes = batch.n_atoms.tolist()
    forces = zip(_split(batch.forces, sizes), _split(prediction.forces, sizes), strict=True)
    species = batch.graph.species.cpu().split(sizes)
    stresses = zip(_arrays(batch.stress[batch.has_stress]), _arrays(prediction.stress), strict=True)
    return [
        Comparison(
            head=heads[int(batch.head[index])],
            config_type=batch.config_types[index],
            species=species[index].numpy(),
            energy=_energies(batch, prediction, index),
            forces=pair if batch.has_forces[index] else None,
            stress=next(stresses) if batch.has_stress[index] else None,
        )
        for index, pair in enumerate(forces)
    ]


def _energies(batch: Batch, prediction: Prediction, index: int) -> tuple[float, float] | None:
    """Label and prediction of one structure."""
    if not batch.has_energy[index]:
        return None
    return float(batch.energy[index]), float(prediction.energy[index])


def _split(values: torch.Tensor, sizes: Sequence[int]) -> list[np.ndarray]:
    """The rows of each structure."""
    return [part.numpy() for part in values.detach().cpu().double().split(list(sizes))]


def _arrays(values: torch.Tensor) -> list[np.ndarray]:
    """One array per structure."""
    return list(values.detach().cpu().double().numpy())


def errors(comparisons: Sequence[Comparison]) -> Errors:
    """Errors of at least one comparison."""
    energies = [
        abs(item.energy[1] - item.energy[0]) / item.n_atoms
        for item in comparisons
        if item.energy is not None
    ]
    forces = [
        np.abs(item.forces[1] - item.forces[0]).ravel()
        for item in comparisons
        if item.forces is not None
    ]
    upper = np.triu_indices(3)
    stresses = [
        np.abs(item.stress[1] - item.stress[0])[upper]
        for item in comparisons
        if item.stress is not None
    ]
    return Errors(
        structures=len(comparisons),
        atoms=sum(item.n_atoms for item in comparisons),
        energy=1e3 * float(np.mean(energies)) if energies else None,
        forces=1e3 * float(np.concatenate(forces).mean()) if forces else None,
        force_components=sum(map(len, forces)),
        stress=1e3 * float(np.concatenate(stresses).mean()) if stresses else None,
        stress_structures=len(stresses),
    )


def group_by_head(item: Comparison) -> tuple[str, ...]:
    """Key for `grouped`: one group per head."""
    return (item.head,)


def group_by_type(item: Comparison) -> tuple[str, ...]:
    """Key for `grouped`: one group per head and config type."""
    return (item.head, item.config_type)


def grouped(
    comparisons: Sequence[Comparison], key: Callable[[Comparison], Key]
) -> dict[Key, Errors]:
    """Errors by group, in the order in which the groups first appear."""
    groups: dict[Key, list[Comparison]] = {}
    for item in comparisons:
        groups.setdefault(key(item), []).append(item)
    return {name: errors(members) for name, members in groups.items()}
