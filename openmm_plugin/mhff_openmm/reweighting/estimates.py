"""Results of reweighting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from openmm import unit

from mhff.errors import MHFFError, listing


@dataclass(frozen=True)
class Estimate:
    """A value and its standard error, in the same units."""

    value: Any
    """A Quantity for energies, or what the observable was given in."""
    error: Any

    def __str__(self) -> str:
        if unit.is_quantity(self.value):
            units = self.value.unit
            plain = Estimate(self.value.value_in_unit(units), self.error.value_in_unit(units))
            return f"{plain} {units.get_symbol()}"
        return f"{self.value:.4f} ± {self.error:.4f}"


@dataclass(frozen=True)
class Theory:
    """The ensemble of one level of theory, as all frames together describe it."""

    weights: dict[str, float]
    """Weight of each head."""
    n_sampled: int
    """Number of uncorrelated frames that were sampled with it; 0 for a target only."""
    effective_samples: float
    """Number of frames of its own ensemble that would be worth as much as all frames together."""
    free_energy: Estimate
    """Relative to the first sampled theory."""
    mean_energy: Estimate
    """Mean of its own energy."""
    averages: dict[str, Estimate]
    """Averages of the observables."""


@dataclass(frozen=True)
class Reweighting:
    """Free energies and averages of several levels of theory, from `reweight`.

    `result["surfaces"]` is the `Theory` of that name; `print(result)` shows a table.
    """

    method: str
    """"Zwanzig" for one sampled theory, "BAR" for two, "MBAR" for more."""
    theories: dict[str, Theory]
    """The sampled theories, then the targets."""
    differences: np.ndarray
    """`[n_theories, n_theories]`, kJ/mol: free energy of the column's theory minus the row's."""
    errors: np.ndarray
    """Their standard errors, kJ/mol."""

    def __getitem__(self, name: str) -> Theory:
        return self.theories[self._known(name)]

    def free_energy_difference(self, start: str, end: str) -> Estimate:
        """Free energy of the theory `end` minus that of `start`, kJ/mol.

        Its error is right for theories whose errors are correlated. Raises MHFFError for an unknown
        name.
        """
        names = list(self.theories)
        place = names.index(self._known(start)), names.index(self._known(end))
        return in_kilojoules(self.differences[place], self.errors[place])

    def _known(self, name: str) -> str:
        if name not in self.theories:
            raise MHFFError(
                f"no theory '{name}' in this reweighting: there are {listing(self.theories)}; name "
                "it in targets="
            )
        return name

    def __str__(self) -> str:
        width = max(len(name) for name in self.theories)
        lines = [f"{self.method}; F relative to the first theory"]
        for name, theory in self.theories.items():
            values = {"F": theory.free_energy, "<E>": theory.mean_energy, **theory.averages}
            shown = ", ".join(f"{title} = {value}" for title, value in values.items())
            lines.append(f"{name:{width}}  {shown}; {theory.effective_samples:.1f} samples")
        return "\n".join(lines)


def in_kilojoules(value: float, error: float) -> Estimate:
    """An energy and its error, kJ/mol."""
    return Estimate(float(value) * unit.kilojoule_per_mole, float(error) * unit.kilojoule_per_mole)
