"""One step of LAMMPS: from its atoms and pairs to the energies and forces of a program.

Labels are compared at every step, because a Monte Carlo move may change them. Rows, ghosts and
settings change only when LAMMPS rebuilds its neighbour lists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mhff.evaluator import Evaluator
from mhff.graph import Graph, graph_without_edges
from mhff.heads import OnceOnly
from mhff.neighbours import MIN_DISTANCE
from mhff.ops.pairs import PairOperators
from mhff_lammps.checks import (
    VIRIAL_PER_ATOM,
    AtomVirials,
    check_finite,
    check_instance,
    check_lost,
    check_pairs,
    check_settings,
    check_tags,
    shortest_distance,
)
from mhff_lammps.coupling import Arrays, read_arrays, write_results
from mhff_lammps.dispersion import adds_dispersion, counted_twice
from mhff_lammps.energies import HeadEnergies
from mhff_lammps.geometry import Build, Geometry
from mhff_lammps.halo import NO_ROW, Halo, make_halo
from mhff_lammps.labels import Labels
from mhff_lammps.ranks import Ranks
from mhff_lammps.units import energy_unit

HEAT_FLUX = (
    "this run uses virials per atom (compute stress/atom or heat/flux). Their sum is right, but "
    "LAMMPS shares the virial of an edge equally between its two atoms, so compute heat/flux is "
    "wrong for a many-body model: do not use it for thermal conductivities"
)


@dataclass(frozen=True)
class Interval:
    """What holds between two rebuilds of LAMMPS' neighbour lists."""

    build: Build
    skin: float
    """LAMMPS' lists are complete until distances have changed by more than this, A."""
    closest: float
    """No atoms coincide until distances have changed by more than this, A."""
    tags: np.ndarray
    """IDs of this rank's atoms, `[nlocal]`."""
    atoms: torch.Tensor
    """`Arrays.atoms`, `[n]`."""
    halo: Halo
    operators: PairOperators
    energy_unit: float
    """An eV in LAMMPS' unit of energy."""


@dataclass(frozen=True)
class Resolved:
    """The meaning of labels, kept until one of them changes."""

    labels: torch.Tensor
    """LAMMPS' labels, `[ntotal]`."""
    atoms: Graph
    """The graph of all rows, without edges."""
    head_weights: torch.Tensor
    """`[n, n_heads]`."""


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
        self._atom_virials = AtomVirials()

    def compute(self, data: Any, lammps: Any) -> None:
        """Set the energy, the energies per atom and the forces of `data`; collective.

        `lammps` is the `lammps.lammps` object of the run. Raises MHFFError, on all ranks, for
        settings, missing pairs and coinciding atoms that would give wrong numbers, for lost atoms,
        and for positions and results that are not finite.
        """
        age = lammps.extract_setting("neigh_ago")  # -1 if this LAMMPS does not report it
        interval = self._interval
        if interval is None or age <= 0:
            arrays = read_arrays(data)
            interval = self._rebuilt(lammps, data, arrays)
        else:
            arrays = read_arrays(data, interval.atoms)
        resolved = self._resolve(arrays.labels, interval.halo)
        positions = interval.build.geometry.positions(data.nlocal)
        vectors, index, moved = interval.operators.edges(
            arrays.pairs.rij,
            arrays.pairs.j,
            arrays.pairs.i,
            interval.halo.rows,
            positions,
            interval.build.positions,
        )
        if not interval.halo.all_have_rows and data.npairs and int(index.min()) == NO_ROW:
            raise RuntimeError("LAMMPS gave a pair with an atom that its pair style does not list")
        graph = resolved.atoms.with_edges(vectors, index)
        node_energies, edge_gradients = self.evaluator.evaluate(graph, resolved.head_weights)
        device = arrays.labels.device
        forces, energies, totals = interval.operators.results(
            edge_gradients.to(device).contiguous(),
            node_energies.to(device),
            resolved.head_weights,
            interval.energy_unit,
        )
        energy, of_forces = totals.tolist()
        with self.ranks.together():
            self._atom_virials.check(lammps, data)
            self._check_change(lammps, data, arrays, interval, math.sqrt(float(moved)))
            check_finite(lammps, arrays, energy + of_forces, energies, forces)
        write_results(data, energy, energies, forces)
        self.head_energies.write(lammps, arrays.atoms, node_energies, interval.energy_unit)

    def _rebuilt(self, lammps: Any, data: Any, arrays: Arrays) -> Interval:
        """Update rows and repeat the checks after LAMMPS has rebuilt its neighbour lists."""
        tags = _tags(lammps, data)
        r_max = self.evaluator.capabilities.r_max
        with self.ranks.together():
            check_instance(lammps, data)
            check_settings(data)
            check_tags(tags)
            closest = min(shortest_distance(lammps, arrays), r_max) - MIN_DISTANCE
            unit = energy_unit(lammps)
        mine = tags[: data.nlocal].copy()
        geometry = Geometry(lammps)
        before = mine if self._interval is None else self._interval.tags
        check_lost(lammps, self.ranks, geometry.pbc, mine, before)
        skin = lammps.extract_global("neigh_skin")
        build = Build.now(geometry, data.nlocal, r_max + skin)
        positions = geometry.positions(data.ntotal).numpy()
        halo = make_halo(self.ranks, tags, arrays, positions, r_max + skin)
        operators = self.evaluator.pair_operators(arrays.labels.device)
        self._interval = Interval(build, skin, closest, mine, arrays.atoms, halo, operators, unit)
        with self.ranks.together():
            self._check_pairs(lammps, data, arrays, self._interval)
        self._resolved = None
        self._warn(lammps, data, arrays)
        return self._interval

    def _check_change(
        self, lammps: Any, data: Any, arrays: Arrays, interval: Interval, moved: float
    ) -> None:
        """Repeat the checks of pairs if atoms have moved too far, A, for their last result.

        An atom at NaN has moved too far.
        """
        change = interval.build.change(moved)
        if not change <= interval.closest:
            shortest_distance(lammps, arrays)
        if not change <= interval.skin:
            self._check_pairs(lammps, data, arrays, interval)

    def _check_pairs(self, lammps: Any, data: Any, arrays: Arrays, interval: Interval) -> None:
        r_max = self.evaluator.capabilities.r_max
        geometry = interval.build.geometry
        box = (geometry.cell, geometry.pbc) if self.ranks.size == 1 else None
        check_pairs(lammps, data, arrays, r_max, box, interval.operators.count)

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
        device = labels.device
        atoms = graph_without_edges(
            self.labels.species(of_rows).to(device),
            self.evaluator.capabilities.dtype,
            ghost_plan=halo.plan,
            state=state.expand(n_rows, -1).to(device),
        )
        weights = self.labels.head_weights(of_rows[:n_local]).to(device)
        return Resolved(labels.clone(), atoms, weights)

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
