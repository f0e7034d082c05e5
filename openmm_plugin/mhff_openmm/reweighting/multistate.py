"""The part of pymbar that reweighting uses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from mhff.errors import MHFFError
from mhff.quiet import quiet

try:
    with quiet("pymbar.mbar_solvers", "pymbar.timeseries"):
        from pymbar import MBAR, timeseries
        from pymbar.utils import ParameterError
except ImportError as error:
    raise MHFFError(
        f"mhff_openmm.reweight needs pymbar ({error}); pip install 'mhff[openmm]'"
    ) from error

MAX_ERROR_OF_SUMS = 1e-6
"""Largest error of the sum of a state's weights, which is 1 when the equations are solved."""
CONSTANT = 1e-12
"""Relative range of a series that does not fluctuate."""


class Multistate:
    """MBAR over several states, in units of kT."""

    def __init__(self, energies: np.ndarray, counts: Sequence[int]) -> None:
        """`energies [n_states, n_frames]`, kT, of uncorrelated frames in the order of the states.

        `counts`: number of frames of each sampled state; the other states come after these. Raises
        MHFFError if the equations have no solution.
        """
        self.energies = energies
        self.n_sampled = len(counts)
        all_counts = np.zeros(len(energies), dtype=np.int64)
        all_counts[: len(counts)] = counts
        try:
            with quiet("pymbar.mbar_solvers", "pymbar.mbar"):
                self._mbar = MBAR(energies, all_counts)
                results = self._mbar.compute_free_energy_differences()
        except (ParameterError, np.linalg.LinAlgError) as error:
            raise _not_solved(error) from error
        if np.abs(self._mbar.weights().sum(axis=0) - 1).max() > MAX_ERROR_OF_SUMS:
            raise _not_solved("its iteration did not converge")
        self.differences = np.asarray(results["Delta_f"])
        """`[n_states, n_states]`, kT: free energy of the column's state minus the row's."""
        self.errors = np.asarray(results["dDelta_f"])
        """Their standard errors, kT."""

    @cached_property
    def effective_samples(self) -> np.ndarray:
        """Effective number of frames of each state, `[n_states]` (Kish)."""
        return np.asarray(self._mbar.compute_effective_sample_number())

    @property
    def overlaps(self) -> np.ndarray:
        """Probability that a frame of the row's sampled state is found in the column's."""
        weights = self._mbar.weights()[:, : self.n_sampled]
        return np.asarray(weights.T @ weights) * self._mbar.N_k[: self.n_sampled]

    def averages(self, observable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Average in each state, and standard error, of an observable.

        It has the shape `[n_frames]`, or `[n_states, n_frames]` if it depends on the state.
        """
        with quiet("pymbar.mbar"):
            results = self._mbar.compute_expectations(
                observable, state_dependent=observable.ndim == 2
            )
        return results["mu"], results["sigma"]


def _not_solved(reason: object) -> MHFFError:
    return MHFFError(
        f"pymbar found no free energies for these frames ({reason}): the sampled theories share "
        "too few configurations; sample more theories between them"
    )


def statistical_inefficiency(series: np.ndarray) -> float:
    """Number of frames per uncorrelated one, at least 1; 1 for a constant."""
    if np.ptp(series) <= CONSTANT * np.abs(series).max():
        return 1.0
    return float(timeseries.statistical_inefficiency(series))


def subsample(n_frames: int, inefficiency: float) -> np.ndarray:
    """Indices of uncorrelated frames."""
    chosen = timeseries.subsample_correlated_data(np.arange(n_frames), g=inefficiency)
    return np.array(chosen, dtype=np.int64)
