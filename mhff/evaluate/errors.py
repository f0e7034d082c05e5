"""Labels against predictions, and the errors of groups of structures."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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
class ErrorSize:
    """How large the errors in one quantity are."""

    mae: float
    """Mean absolute error."""
    rmse: float
    """Root mean square error."""
    count: int
    """Number of values."""


@dataclass(frozen=True)
class Quantity:
    """One of the quantities with errors: its names in tables and files."""

    field: str
    """Its name in `Errors`."""
    name: str
    """Its name for people."""
    unit: str
    unit_name: str
    """The unit in the names of JSON and CSV."""
    count_name: str
    """Name of the number of values in JSON and CSV."""
    count_heading: str
    """Heading of the number of values for people."""
    digits: int
    """Decimals in tables."""

    def column(self, kind: str) -> str:
        """Name of its `mae` or `rmse` in JSON and CSV."""
        return f"{self.name}_{kind}_{self.unit_name}"


QUANTITIES = (
    Quantity("energy", "energy", "meV/atom", "meV_per_atom", "energy_structures", "with energy", 1),
    Quantity("forces", "force", "meV/A", "meV_per_A", "force_components", "components", 1),
    Quantity("stress", "stress", "meV/A^3", "meV_per_A3", "stress_structures", "with stress", 2),
)


@dataclass(frozen=True)
class Errors:
    """Errors of a group of structures; None for a quantity without labels."""

    structures: int
    atoms: int
    energy: ErrorSize | None
    """meV per atom, over structures."""
    forces: ErrorSize | None
    """meV/A, over force components."""
    stress: ErrorSize | None
    """meV/A^3, over the six independent components; the count is that of the structures."""

    def of(self, quantity: Quantity) -> ErrorSize | None:
        """Errors in one quantity."""
        size: ErrorSize | None = getattr(self, quantity.field)
        return size

    def as_dict(self) -> dict[str, Any]:
        """A JSON object whose names carry the units."""
        content: dict[str, Any] = {"structures": self.structures, "atoms": self.atoms}
        for quantity in QUANTITIES:
            size = self.of(quantity)
            content[quantity.column("mae")] = size.mae if size else None
            content[quantity.column("rmse")] = size.rmse if size else None
            content[quantity.count_name] = size.count if size else 0
        return content


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


class ErrorSums:
    """Sums over comparisons, of any number, from which their errors follow."""

    def __init__(self) -> None:
        self.structures = 0
        self.atoms = 0
        self._sums = {quantity.field: _Sums() for quantity in QUANTITIES}

    def add(self, item: Comparison) -> None:
        """Add one comparison."""
        self.structures += 1
        self.atoms += item.n_atoms
        if item.energy is not None:
            self._sums["energy"].add(np.subtract(*item.energy[::-1]) / item.n_atoms, 1)
        if item.forces is not None:
            difference = item.forces[1] - item.forces[0]
            self._sums["forces"].add(difference, difference.size)
        if item.stress is not None:
            difference = (item.stress[1] - item.stress[0])[np.triu_indices(3)]
            self._sums["stress"].add(difference, 1)

    def errors(self) -> Errors:
        """Errors of what was added."""
        sizes = {name: sums.size() for name, sums in self._sums.items()}
        return Errors(self.structures, self.atoms, **sizes)


@dataclass
class _Sums:
    """Sums of the differences in one quantity."""

    absolute: float = 0.0
    squares: float = 0.0
    n_values: int = 0
    count: int = 0

    def add(self, differences: Any, count: int) -> None:
        values = np.asarray(differences, dtype=np.float64)
        self.absolute += float(np.abs(values).sum())
        self.squares += float((values**2).sum())
        self.n_values += values.size
        self.count += count

    def size(self) -> ErrorSize | None:
        """In thousandths of the unit of the differences; None if there are none."""
        if not self.count:
            return None
        rmse = (self.squares / self.n_values) ** 0.5
        return ErrorSize(1e3 * self.absolute / self.n_values, 1e3 * rmse, self.count)


def errors(comparisons: Iterable[Comparison]) -> Errors:
    """Errors of comparisons."""
    sums = ErrorSums()
    for item in comparisons:
        sums.add(item)
    return sums.errors()


def group_by_head(item: Comparison) -> tuple[str, ...]:
    """Key for `grouped`: one group per head."""
    return (item.head,)


def group_by_type(item: Comparison) -> tuple[str, ...]:
    """Key for `grouped`: one group per head and config type."""
    return (item.head, item.config_type)


class _Groups(Generic[Key]):
    """Sums of errors by group, in the order in which the groups first appear."""

    def __init__(self, key: Callable[[Comparison], Key]) -> None:
        self._key = key
        self._sums: dict[Key, ErrorSums] = {}

    def add(self, item: Comparison) -> None:
        self._sums.setdefault(self._key(item), ErrorSums()).add(item)

    def errors(self) -> dict[Key, Errors]:
        return {name: sums.errors() for name, sums in self._sums.items()}


def grouped(
    comparisons: Iterable[Comparison], key: Callable[[Comparison], Key]
) -> dict[Key, Errors]:
    """Errors by group, in the order in which the groups first appear."""
    groups = _Groups(key)
    for item in comparisons:
        groups.add(item)
    return groups.errors()


class Tally:
    """Errors per head, and per head and config type, of comparisons that are not kept."""

    def __init__(self) -> None:
        self._by_head = _Groups(group_by_head)
        self._by_type = _Groups(group_by_type)

    def add(self, item: Comparison) -> None:
        """Add one comparison."""
        self._by_head.add(item)
        self._by_type.add(item)

    @property
    def by_head(self) -> dict[tuple[str, ...], Errors]:
        """Errors per head, in the order in which they first appeared."""
        return self._by_head.errors()

    @property
    def by_type(self) -> dict[tuple[str, ...], Errors]:
        """Errors per head and config type, likewise."""
        return self._by_type.errors()

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """A JSON object: per head, and in its `config_types` per configuration type."""
        content: dict[str, dict[str, Any]] = {
            head: {**each.as_dict(), "config_types": {}} for (head,), each in self.by_head.items()
        }
        for (head, config_type), each in self.by_type.items():
            content[head]["config_types"][config_type] = each.as_dict()
        return content


def by_head_and_type(comparisons: Iterable[Comparison]) -> dict[str, dict[str, Any]]:
    """A JSON object of all errors: see `Tally.as_dict`."""
    tally = Tally()
    for item in comparisons:
        tally.add(item)
    return tally.as_dict()
