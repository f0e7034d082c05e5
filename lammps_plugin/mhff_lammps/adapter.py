"""One step of LAMMPS: from its atoms and pairs to the energies and forces of a program.

LAMMPS' rij points from the centre to the neighbour; edge vectors point the other way. Labels are
compared at every step, because a Monte Carlo move may change them; rows, ghosts and settings change
only when LAMMPS rebuilds its neighbour lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mhff.evaluator import Evaluator
from mhff.graph import Graph, make_graph
from mhff.heads import OnceOnly
from mhff_lammps.checks import (
    Build,
    check_coincidence,
    check_finite,
    check_instance,
    check_lost,
    check_pairs,
    check_settings,
    check_tags,
    positions_of,
)
from mhff_lammps.coupling import Arrays, read_arrays, write_results
from mhff_lammps.dispersion import adds_dispersion, counted_twice
from mhff_lammps.energies import HeadEnergies
from mhff_lammps.halo import NO_ROW, Halo, make_halo
from mhff_lammps.labels import Labels
from mhff_lammps.ranks import Ranks
from mhff_lammps.units import energy_unit

VIRIAL_PER_ATOM = 4
"""The bit of `vflag` with which LAMMPS asks for a virial per atom."""
HEAT_FLUX = (
    "this run uses virials per atom (compute stress/atom or heat/flux). Their sum is right, but "
    "LAMMPS shares the virial of an edge equally between its two atoms, so compute heat/flux is "
    "wrong for a many-body model: do not use it for thermal conductivities"
)


@dataclass(frozen=True)
class Interval:
    """What holds between two rebuilds of LAMMPS' neighbour lists."""

    build: Build
    tags: np.ndarray
    """IDs of this rank's atoms, `[nlocal]`."""
    halo: Halo
    energy_unit: float
    """An eV in LAMMPS' unit of energy."""


@dataclass(frozen=True)
class Resolved:
    """The meaning of labels, kept until one of them changes."""

    labels: torch.Tensor
    """LAMMPS' labels, `[ntotal]`."""
    species: torch.Tensor
    """`[n_rows]`."""
    head_weights: torch.Tensor
    """`[n, n_heads]`."""
    state: torch.Tensor
    """`[n_rows, 2]`."""


class Adapter:
    """Evaluates a program for LAMMPS, step by step."""

    def __init__(self, evaluator: Evaluator, labels: Labels, ranks: Ranks) -> None:
        self.evaluator = evaluator
        self.labels = labels
        self.ranks = ranks
        self.head_energies = HeadEnergies(evaluator.capabilities)
        self._interval: Interval | None = None
        self._resolved: Resolved | None = None
        self._once = OnceOnly()

    def compute(self, data: Any, lammps: Any) -> None:
        """Set the energy, the energies per atom and the forces of `data`; collective.

        `lammps` is the `lammps.lammps` object of the run. Raises MHFFError, on all ranks, for
        settings, missing pairs and coinciding atoms that would give wrong numbers, for lost atoms,
        and for positions and results that are not finite.
        """
        age = lammps.extract_setting("neigh_ago")  # -1 if this LAMMPS does not report it
        arrays = read_arrays(data)
        interval = self._interval
        if interval is None or age <= 0:
            interval = self._rebuilt(lammps, data, arrays)
        resolved = self._resolve(arrays.labels, interval.halo)
        graph = self._graph(arrays, interval.halo, resolved)
        node_energies, edge_gradients = self.evaluator.evaluate(graph, resolved.head_weights)
        device = arrays.labels.device
        unit = interval.energy_unit
        energies = (resolved.head_weights * node_energies.to(device)).sum(1).mul_(unit)
        forces = edge_gradients.to(device, torch.float64).mul(-unit)
        energy = float(energies.sum())
        with self.ranks.together():
            self._check(lammps, data, arrays, interval)
            check_finite(lammps, arrays, energy, energies, forces)
        write_results(data, energy, energies, forces)
        self.head_energies.write(lammps, arrays.atoms, node_energies, unit)

    def _graph(self, arrays: Arrays, halo: Halo, resolved: Resolved) -> Graph:
        """The graph of this step; edges point from the sender j to the receiver i."""
        pairs = arrays.pairs
        ends = torch.cat([pairs.j, pairs.i])
        edge_index = halo.rows.index_select(0, ends).view(2, -1)
        if not halo.all_have_rows and len(ends) and int(edge_index.min()) == NO_ROW:
            raise RuntimeError("LAMMPS gave a pair with an atom that its pair style does not list")
        return make_graph(
            pairs.rij.to(self.evaluator.capabilities.dtype).neg(),
            edge_index,
            resolved.species,
            ghost_plan=halo.plan,
            state=resolved.state,
        )

    def _rebuilt(self, lammps: Any, data: Any, arrays: Arrays) -> Interval:
        """Update rows and repeat the checks after LAMMPS has rebuilt its neighbour lists."""
        tags = _tags(lammps, data)
        with self.ranks.together():
            check_instance(lammps, data)
            check_settings(data)
            check_tags(tags)
            check_coincidence(lammps, arrays)
            unit = energy_unit(lammps)
        mine = tags[: data.nlocal].copy()
        check_lost(
            lammps, self.ranks, mine, mine if self._interval is None else self._interval.tags
        )
        build = Build.now(lammps, data)
        reach = self.evaluator.capabilities.r_max + build.skin
        halo = make_halo(self.ranks, tags, arrays, positions_of(lammps, data.ntotal), reach)
        self._interval = Interval(build, mine, halo, unit)
        with self.ranks.together():
            self._check_pairs(lammps, data, arrays)
        self._resolved = None
        self._warn(lammps, data, arrays)
        return self._interval

    def _check(self, lammps: Any, data: Any, arrays: Arrays, interval: Interval) -> None:
        """Checks at every step."""
        check_coincidence(lammps, arrays)
        if not interval.build.holds(lammps, data):
            self._check_pairs(lammps, data, arrays)

    def _check_pairs(self, lammps: Any, data: Any, arrays: Arrays) -> None:
        r_max = self.evaluator.capabilities.r_max
        check_pairs(lammps, data, arrays, r_max, periodic=self.ranks.size == 1)

    def _resolve(self, labels: torch.Tensor, halo: Halo) -> Resolved:
        """The meaning of the labels of this step."""
        known = self._resolved
        if known is None or not torch.equal(known.labels, labels):
            known = self._resolved = self._resolve_anew(labels, halo)
        return known

    def _resolve_anew(self, labels: torch.Tensor, halo: Halo) -> Resolved:
        n_rows = len(halo.images)
        n_local = n_rows + 1 - len(halo.plan)
        of_rows = torch.zeros(n_rows, dtype=torch.int64)
        if len(labels):
            # a rank without ghosts has one that stands for no atom and may have no label
            of_rows = labels[halo.images].cpu().to(torch.int64).clamp(min=0)
        state = torch.tensor([self.evaluator.capabilities.default_state], dtype=torch.float64)
        return Resolved(
            labels.clone(),
            self.labels.species(of_rows).to(labels.device),
            self.labels.head_weights(of_rows[:n_local]).to(labels.device),
            state.expand(n_rows, -1).to(labels.device),
        )

    def _warn(self, lammps: Any, data: Any, arrays: Arrays) -> None:
        """Print warnings that are new; collective."""
        labels = arrays.labels[arrays.atoms].cpu().to(torch.int64)
        sentences = self.labels.warnings(labels)
        if data.vflag & VIRIAL_PER_ATOM:
            sentences.append(HEAT_FLUX)
        if adds_dispersion(lammps):
            sentences += counted_twice(self.labels.heads, self.labels.head_weights(labels))
        for sentence in self._once.new(self.ranks.gather(sentences)):
            print(f"mhff: warning: {sentence}", flush=True)


def _tags(lammps: Any, data: Any) -> np.ndarray:
    """Atom IDs of local atoms and ghosts, `[ntotal]`."""
    if not data.ntotal:
        return np.zeros(0, dtype=np.int64)
    tags: np.ndarray = lammps.numpy.extract_atom("id")[: data.ntotal]
    return tags
