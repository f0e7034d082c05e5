"""`reweight`: free energies and averages at other levels of theory.

Frames that have the energies of all heads tell of every theory that visits these configurations.
All theories are states of one multistate Bennett acceptance ratio (MBAR: Shirts and Chodera,
J. Chem. Phys. 129, 124105, 2008). For one sampled theory it is Zwanzig's formula, and for two it
gives the free-energy difference of Bennett's acceptance ratio (BAR).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from openmm import unit

from mhff.errors import MHFFError, listing
from mhff.heads import HeadSpec
from mhff_openmm.reweighting.estimates import Estimate, Reweighting, Theory, in_kilojoules
from mhff_openmm.reweighting.multistate import Multistate
from mhff_openmm.reweighting.observables import Observable, check_finite, observables_of
from mhff_openmm.reweighting.overlap import check_targets, check_touching, check_windows
from mhff_openmm.reweighting.windows import Window, uncorrelated, windows_of
from mhff_openmm.theory.samples import HeadEnergies, in_units, joined, weights_of

METHODS = {1: "Zwanzig", 2: "BAR"}
"""Names of the estimator by number of sampled theories."""


def reweight(
    samples: HeadEnergies | Iterable[HeadEnergies],
    temperature: Any,
    targets: Iterable[str] | Mapping[str, HeadSpec] | None = None,
    observables: Mapping[str, Any] | None = None,
    *,
    correlated: bool = True,
) -> Reweighting:
    """Free energies, mean energies and averages at levels of theory that need not be sampled.

    The frames come from one or several runs in equilibrium, in one ensemble at one temperature.
    Frames with the same weights of the heads are one sampled theory: one is reweighted by Zwanzig's
    formula, two by BAR, more by MBAR. Everything that is not mhff must act the same in all
    theories, and the mhff force must not be scaled by a CustomCVForce.

    Args:
        samples: `samples` of a HeadEnergyReporter, `HeadEnergies.read(file)`, or arrays by
            `HeadEnergies.sampled(energies, heads, head)`; several are joined.
        temperature: of the runs, a Quantity or K.
        targets: names of heads, or heads and mixes by names that you choose, for example
            `{"half": {"materials": 0.5, "molecules": 0.5}}`; None means all heads.
        observables: by name, one value for each frame, numbers or a Quantity.
        correlated: keep only as many frames as are uncorrelated, by the largest statistical
            inefficiency among the energies of the theories and the observables; False keeps all.

    Returns:
        The sampled theories and the targets; a mix that was sampled is called "0.5 A + 0.5 B".

    Raises:
        MHFFError: if the sampled theories overlap too little with each other or with a target (see
            `overlap.py` for the thresholds). Also for an unknown head, another number of values
            than frames, numbers that are not finite, a temperature that is not positive, and fewer
            than ten frames of a sampled theory.
    """
    frames = joined(samples)
    kt = _thermal_energy(temperature)
    measured = observables_of(observables or {}, len(frames))
    check_finite("head energies", frames.energies)
    windows = windows_of(frames)
    wanted = _targets(frames.heads, targets)
    theories = _theories(windows, wanted)
    weights = np.array(list(theories.values()))
    # absolute energies are large; their means are taken off, and come back in the results
    offsets = frames.energies.mean(axis=0)
    energies = (frames.energies - offsets) @ weights.T
    if correlated:
        windows = [_uncorrelated(window, energies, weights, measured) for window in windows]
    counts = [len(window.frames) for window in windows]
    chosen = np.concatenate([window.frames for window in windows])
    reduced = energies[chosen].T / kt
    check_touching(reduced, counts, list(theories))
    states = Multistate(reduced, counts)
    check_windows(states.overlaps, list(theories))
    check_targets(states, counts, list(theories), list(wanted))
    result = _Result(states, chosen, kt, weights @ offsets)
    return result.reweighting(frames.heads, theories, counts, measured)


@dataclass(frozen=True)
class _Result:
    """The solved states, in kT, and what turns them into energies of the theories."""

    states: Multistate
    frames: np.ndarray
    """Indices of the frames that they were solved with."""
    kt: float
    """kJ/mol."""
    offsets: np.ndarray
    """`[n_theories]`, kJ/mol, energy of each theory that was taken off."""

    def reweighting(
        self,
        heads: tuple[str, ...],
        theories: Mapping[str, np.ndarray],
        counts: list[int],
        measured: Mapping[str, Observable],
    ) -> Reweighting:
        """All results of `theories`, of which the first were sampled with `counts` frames."""
        differences = self.states.differences * self.kt + self.offsets - self.offsets[:, None]
        errors = self.states.errors * self.kt
        energies, energy_errors = self.states.averages(self.states.energies)
        averages = {
            title: self._averages(observable, len(theories))
            for title, observable in measured.items()
        }
        described = {
            name: Theory(
                weights=dict(zip(heads, weights.tolist(), strict=True)),
                n_sampled=counts[state] if state < len(counts) else 0,
                effective_samples=float(self.states.effective_samples[state]),
                free_energy=in_kilojoules(differences[0, state], errors[0, state]),
                mean_energy=in_kilojoules(
                    energies[state] * self.kt + self.offsets[state], energy_errors[state] * self.kt
                ),
                averages={title: values[state] for title, values in averages.items()},
            )
            for state, (name, weights) in enumerate(theories.items())
        }
        return Reweighting(METHODS.get(len(counts), "MBAR"), described, differences, errors)

    def _averages(self, observable: Observable, n_theories: int) -> list[Estimate]:
        """Average of an observable in each theory."""
        values, errors = self.states.averages(observable.values[self.frames])
        return [observable.estimate(values[state], errors[state]) for state in range(n_theories)]


def _thermal_energy(temperature: Any) -> float:
    """kT, kJ/mol."""
    kelvin = in_units(temperature, unit.kelvin, "temperature")
    if kelvin.ndim or not 0 < kelvin < np.inf:
        raise MHFFError(
            f"expected a positive temperature, got {temperature}; give that of the runs, for "
            "example 300 * unit.kelvin"
        )
    gas_constant = unit.MOLAR_GAS_CONSTANT_R.value_in_unit(unit.kilojoule_per_mole / unit.kelvin)
    return float(kelvin) * float(gas_constant)


def _targets(
    heads: tuple[str, ...], targets: Iterable[str] | Mapping[str, HeadSpec] | None
) -> dict[str, np.ndarray]:
    """Weights of the heads in each target, by name."""
    if isinstance(targets, str):
        targets = [targets]
    if not isinstance(targets, Iterable | None):
        raise MHFFError(
            f"expected targets as names of heads, or heads and mixes by name, got {targets!r}; "
            f"there are the heads {listing(heads)}"
        )
    if isinstance(targets, Mapping):
        return {name: weights_of(heads, spec) for name, spec in targets.items()}
    return {name: weights_of(heads, name) for name in (heads if targets is None else targets)}


def _theories(windows: list[Window], targets: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Weights of the sampled theories and, after them, of targets that were not sampled."""
    theories = {window.name: window.weights for window in windows}
    for name, weights in targets.items():
        if name in theories and not np.array_equal(theories[name], weights):
            raise MHFFError(
                f"the target '{name}' has the name of a sampled theory with other weights; choose "
                f"another that is not among {listing(theories)}"
            )
        theories[name] = weights
    return theories


def _uncorrelated(
    window: Window,
    energies: np.ndarray,
    weights: np.ndarray,
    measured: Mapping[str, Observable],
) -> Window:
    """The window's uncorrelated frames, by its energies, its distances to others, observables."""
    own = int(np.flatnonzero((weights == window.weights).all(axis=1))[0])
    distances = energies - energies[:, [own]]
    distances[:, own] = energies[:, own]
    values = [observable.values for observable in measured.values()]
    return uncorrelated(window, np.column_stack([distances, *values]))
