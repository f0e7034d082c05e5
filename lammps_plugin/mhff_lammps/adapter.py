"""One step of LAMMPS: from its atoms and pairs to the energies and forces of a program.

LAMMPS' rij points from the centre to the neighbour; edge vectors point the other way. LAMMPS' metal
units, eV and A, are also ours. Labels are read at every step, because `pair_coeff` or a Monte Carlo
move may change them; periodic images change only when LAMMPS rebuilds its neighbour lists.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mhff.errors import MHFFError
from mhff.evaluator import Evaluator
from mhff.graph import make_graph
from mhff.heads import OnceOnly
from mhff_lammps.checks import (
    Build,
    check_coincidence,
    check_coupling,
    check_instance,
    check_pairs,
    check_settings,
)
from mhff_lammps.dispersion import adds_dispersion, counted_twice
from mhff_lammps.energies import HeadEnergies
from mhff_lammps.instance import Instances
from mhff_lammps.labels import Labels

VIRIAL_PER_ATOM = 4
"""The bit of `vflag` with which LAMMPS asks for a virial per atom."""
HEAT_FLUX = (
    "this run uses virials per atom (compute stress/atom or heat/flux). Their sum is right, but "
    "LAMMPS shares the virial of an edge equally between its two atoms, so compute heat/flux is "
    "wrong for a many-body model: do not use it for thermal conductivities"
)


class Adapter:
    """Evaluates a program for LAMMPS, step by step."""

    def __init__(self, evaluator: Evaluator, labels: Labels) -> None:
        self.evaluator = evaluator
        self.labels = labels
        self.head_energies = HeadEnergies(evaluator.capabilities)
        self.instances = Instances()
        self._owners = np.zeros(0, dtype=np.int64)
        self._build: Build | None = None
        self._adds_dispersion = False
        self._checked_labels = torch.zeros(0, dtype=torch.int64)
        self._once = OnceOnly()

    def compute(self, data: Any, lammps: Any = None) -> None:
        """Set the energy, the energies per atom and the forces of `data`.

        `lammps` is the `lammps.lammps` object of the run; if None, it is found. Raises MHFFError
        for settings, missing pairs and coinciding atoms that would give wrong numbers, and for a
        result that is not finite.
        """
        check_coupling(data)
        lammps = lammps or self.instances.find(data)
        check_instance(lammps, data)
        check_coincidence(lammps, data)
        age = lammps.extract_setting("neigh_ago")  # -1 if this LAMMPS does not report it
        if self._build is None or age <= 0:
            self._rebuilt(lammps, data)
        elif not self._build.holds(lammps, data):
            self._check_pairs(lammps, data)
        labels = read_labels(data)
        self._warn(labels, data.vflag)
        weights = self.labels.head_weights(labels)
        species = self.labels.species(labels)
        edge_vectors, edge_index = read_edges(data, self._owners)
        graph = make_graph(edge_vectors, edge_index, species, state=self._state(len(species)))
        node_energies, edge_gradients = self.evaluator.evaluate(graph, weights)
        if data.nlistatoms:
            self.head_energies.write(lammps, torch.from_numpy(_listed(data)), node_energies)
        energies = (weights * node_energies.cpu()).sum(1).numpy()
        write_results(data, energies, edge_gradients.cpu().to(torch.float64).numpy())

    def _rebuilt(self, lammps: Any, data: Any) -> None:
        """Update images and repeat the checks after LAMMPS has rebuilt its neighbour lists."""
        check_settings(lammps, data)
        self._adds_dispersion = adds_dispersion(lammps)
        self._checked_labels = torch.zeros(0, dtype=torch.int64)
        tags = lammps.numpy.extract_atom("id") if data.ntotal else np.zeros(0, dtype=np.int64)
        self._owners = owners_of_images(tags, data.nlocal)
        self._build = Build.now(lammps, data)
        self._check_pairs(lammps, data)

    def _check_pairs(self, lammps: Any, data: Any) -> None:
        check_pairs(lammps, data, self._owners, self.evaluator.capabilities.r_max)

    def _warn(self, labels: torch.Tensor, virial: int) -> None:
        sentences = [HEAT_FLUX] if virial & VIRIAL_PER_ATOM else []
        if not torch.equal(labels, self._checked_labels):
            sentences += self.labels.warnings(labels)
            if self._adds_dispersion:
                sentences += counted_twice(self.labels.heads, self.labels.head_weights(labels))
            self._checked_labels = labels
        for sentence in self._once.new(sentences):
            print(f"mhff: warning: {sentence}", flush=True)

    def _state(self, n_atoms: int) -> torch.Tensor:
        """Total charge and spin multiplicity of every atom's structure, `[n, 2]`."""
        state = torch.tensor([self.evaluator.capabilities.default_state], dtype=torch.float64)
        return state.expand(n_atoms, -1)


def read_labels(data: Any) -> torch.Tensor:
    """Position in `Labels.names` of each listed atom's label, `[n]`.

    Only atoms that this pair style acts on are listed. LAMMPS raises an exception when an array of
    `data` without elements is read.
    """
    if not data.nlistatoms:
        return torch.zeros(0, dtype=torch.int64)
    return torch.from_numpy(data.elems[_listed(data)]).to(torch.int64)


def read_edges(data: Any, owners: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Edge vectors `[E, 3]`, float64, A, and edge index `[2, E]` into the listed atoms.

    Ghosts are replaced by the atoms that they are images of; `owners [ntotal]` as
    `owners_of_images` gives them.
    """
    if not data.npairs:
        return torch.zeros((0, 3), dtype=torch.float64), torch.zeros((2, 0), dtype=torch.int64)
    listed = _listed(data)
    row = np.full(data.nlocal, -1)
    row[listed] = np.arange(len(listed))
    edge_index = np.stack([row[owners[data.pair_j]], row[data.pair_i]])
    if edge_index.min() < 0:
        raise RuntimeError("LAMMPS gave a pair with an atom that is not in this pair style's list")
    return torch.from_numpy(-data.rij), torch.from_numpy(edge_index)


def _listed(data: Any) -> np.ndarray:
    return data.iatoms[: data.nlistatoms]


def owners_of_images(tags: np.ndarray, n_local: int) -> np.ndarray:
    """Local index of the atom that each atom is an image of, `[ntotal]`, from its ID `[ntotal]`."""
    if len(tags) and tags.min() <= 0:
        raise MHFFError(
            "mhff needs atom IDs and this simulation has none; remove 'atom_modify id no' from the "
            "input"
        )
    order = np.argsort(tags[:n_local])
    return order[np.searchsorted(tags[:n_local], tags, sorter=order)]


def write_results(data: Any, energies: np.ndarray, edge_gradients: np.ndarray) -> None:
    """Give LAMMPS the energies `[n]`, eV, and edge gradients `[E, 3]`, eV/A, both float64."""
    energy = float(energies.sum())
    if not (np.isfinite(energy) and np.isfinite(edge_gradients).all()):
        raise MHFFError(
            f"expected finite numbers, got the energy {energy} eV or forces that are not finite; "
            "check that no two atoms coincide, or use a shorter time step"
        )
    data.energy = energy
    if data.nlistatoms:
        data.eatoms = energies
    if data.npairs:
        data.update_pair_forces(np.negative(edge_gradients, order="C"))
