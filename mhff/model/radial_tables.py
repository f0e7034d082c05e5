"""Radial functions in training from splines of the distance, fitted anew in every step.

Radial functions depend on the distance, and on the elements of both ends or on none. Where a batch
has many edges for each pair of elements, the networks are evaluated at a few hundred distances, the
sites, instead of on all edges. Splines (`mhff.ops.spline`) are fitted to these values by least
squares, and every edge looks up its own. Derivatives by the distance are those of the splines, so
networks need none, and gradients of their weights are exact derivatives of what is computed. Sites,
fits and tables are in float64: slopes are differences of neighbouring coefficients, whose rounding
they would magnify.

There are two sites for each interval: interpolation at equidistant knots with free ends is
unstable. So every step measures the error of its fits, by their residuals; a function that a spline
does not follow to float32's precision is evaluated on the edges.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch

from mhff.model.convolution import RadialInputs
from mhff.model.radial import RadialBasis
from mhff.ops.cpu.look_up import KernelLookUp
from mhff.ops.spline import DEGREE, Spline

N_INTERVALS = 128
N_INTERVALS_OF_PAIRS = 192
"""Numbers of intervals; functions of both elements of an edge vary faster."""
R_MIN = 0.5
"""Distance at which tables begin, A; batches with shorter edges do without."""
MAX_ERROR = 5e-6
"""Largest residual of a fit, relative to the largest value of its functions."""
N_PROBES = 4
"""Random sums of functions whose residuals stand for those of all."""


class SplineFit:
    """Least-squares fits of splines to values at `sites`."""

    def __init__(self, r_max: float, n_intervals: int) -> None:
        from scipy.interpolate import BSpline  # takes long to import, and few need it

        self.spline = Spline(R_MIN, r_max, n_intervals)
        self.n_sites = 2 * n_intervals + 2 * DEGREE + 1
        at = np.linspace(0, n_intervals, self.n_sites)
        knots = np.arange(-DEGREE, n_intervals + DEGREE + 1, dtype=np.float64)
        design = torch.from_numpy(BSpline.design_matrix(at, knots, DEGREE).toarray())
        fit = torch.linalg.pinv(design)
        self.sites = torch.from_numpy(R_MIN + at / self.spline.per_length)
        self.fit = fit
        """Coefficients `[rows, n_sites]` from values."""
        self.residual = design @ fit - torch.eye(self.n_sites, dtype=torch.float64)

    @torch.no_grad()
    def error(self, values: torch.Tensor, matrix: torch.Tensor | None) -> float:
        """Largest residual of functions, relative to their largest value.

        Values `[tables, n_sites, n]` times `matrix [n, width]`, unless it is None.
        """
        generator = torch.Generator().manual_seed(0)
        width = values.shape[2] if matrix is None else matrix.shape[1]
        probes = torch.randn(width, N_PROBES, generator=generator, dtype=torch.float64)
        sums = values @ (probes if matrix is None else matrix @ probes)
        largest = sums.abs().amax().clamp(min=torch.finfo(sums.dtype).tiny)
        return float((self.residual @ sums).abs().amax() / largest)


class TabulatedInputs:
    """Radial functions of E edges from splines; has the methods of `RadialInputs`."""

    def __init__(
        self,
        tables: RadialTables,
        r: torch.Tensor,
        species: torch.Tensor,
        pairs: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        """`species [2, E]`; `pairs`: of the tables `[2, n_tables]`, and the table of each edge."""
        of_tables, which = pairs
        self.species = species
        self._tables = tables
        self._r = r
        intervals, self._taps = tables.look_up.taps(r)
        n_rows = tables.fit.spline.n_rows
        self._first = intervals + n_rows * which.to(torch.int32)
        self._order = tables.look_up.order(self._first, n_rows * of_tables.shape[1])
        sites = tables.fit.sites.repeat(of_tables.shape[1])
        species_at_sites = of_tables.repeat_interleave(tables.fit.n_sites, dim=1)
        self._at_sites = RadialInputs.at(tables.basis_at_sites, sites, species_at_sites)

    @cached_property
    def _on_edges(self) -> RadialInputs:
        return RadialInputs.at(self._tables.basis, self._r, self.species)

    def evaluate(
        self, function: Callable[[RadialInputs], torch.Tensor], last: torch.Tensor | None = None
    ) -> torch.Tensor:
        """See `Radial.evaluate`; `last` maps the coefficients of splines that are fitted before."""
        fit = self._tables.fit
        values = function(self._at_sites).unflatten(0, (-1, fit.n_sites))
        matrix = None if last is None else last.to(values.dtype)
        if fit.error(values, matrix) > MAX_ERROR:
            return self._on_edges.evaluate(function, last)
        table = torch.matmul(fit.fit, values).flatten(0, 1)
        mapped = table if matrix is None else table @ matrix
        return self._tables.look_up(self._first, self._order, self._taps, mapped)


class RadialTables:
    """Makes the radial inputs of a batch, with tables where that is less work; float32 only."""

    def __init__(
        self,
        basis: RadialBasis,
        n_elements: int,
        of_pairs: bool,
        make_look_up: Callable[[Spline], KernelLookUp],
    ) -> None:
        """`of_pairs`: whether the functions depend on the elements of both ends."""
        self.basis = basis
        self.n_elements = n_elements
        self.of_pairs = of_pairs
        self.fit = SplineFit(basis.r_max, N_INTERVALS_OF_PAIRS if of_pairs else N_INTERVALS)
        self.basis_at_sites = copy.deepcopy(basis).double()
        self.look_up = make_look_up(self.fit.spline)

    def __call__(self, r: torch.Tensor, species: torch.Tensor) -> RadialInputs | TabulatedInputs:
        """Radial inputs of edges with lengths `r [E]` between `species [2, E]`."""
        pairs = self._pairs(species)
        too_few = r.shape[0] <= pairs[0].shape[1] * self.fit.n_sites
        if too_few or float(r.detach().amin()) < R_MIN:
            return RadialInputs.at(self.basis, r, species)
        return TabulatedInputs(self, r, species, pairs)

    def _pairs(self, species: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Species of the tables that a batch needs `[2, n_tables]`, and the table of each edge."""
        if not self.of_pairs:
            return species.new_zeros(2, 1), torch.zeros_like(species[0])
        pair = species[0] * self.n_elements + species[1]
        present = torch.bincount(pair, minlength=self.n_elements**2) > 0
        of_tables = present.nonzero().flatten()
        ends = torch.stack([of_tables // self.n_elements, of_tables % self.n_elements])
        return ends, (present.cumsum(0) - 1).index_select(0, pair)
