"""One evaluation: LAMMPS' atoms and pairs to a program's inputs, its outputs to LAMMPS' energies
and forces.

Everything is rebuilt at each call: labels change when `pair_coeff` is re-issued, ghosts whenever
LAMMPS re-neighbours. LAMMPS' rij points from the centre to the neighbour, edge vectors the other
way. Units are LAMMPS' metal units, eV and A, which are ours; a conversion factor for other units
would go into `compute`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from mhff.errors import MHFFError
from mhff.evaluator import Evaluator
from mhff.graph import make_graph
from mhff.heads import OnceOnly
from mhff_lammps.checks import check_coupling, check_settings
from mhff_lammps.instance import Instances
from mhff_lammps.labels import Labels


class Step(NamedTuple):
    """A program's view of LAMMPS' atoms: a row for each atom that this pair style acts on, ghosts
    folded to owners.
    """

    labels: torch.Tensor
    """Position of each row's label in `Labels.names`, `[n]`."""
    edge_vectors: torch.Tensor
    """`[E, 3]`, float64, A."""
    edge_index: torch.Tensor
    """`[2, E]`."""


class Adapter:
    """A program between LAMMPS' data and itself."""

    def __init__(self, evaluator: Evaluator, labels: Labels) -> None:
        self.evaluator, self.labels = evaluator, labels
        self.instances = Instances()
        self._once = OnceOnly()

    def compute(self, data: Any, lammps: Any = None) -> None:
        """Set energy, energies per atom and forces of `data`; `lammps` is its instance, where a
        driver has given it.

        Raises MHFFError for settings that would give wrong numbers, and if the result is not
        finite.
        """
        check_coupling(data)
        lammps = lammps or self.instances.find(data)
        check_settings(lammps, data)
        tags = lammps.numpy.extract_atom("id") if data.ntotal else np.zeros(0, dtype=np.int64)
        step = read_step(data, tags)
        self._warn(step.labels)
        weights = self.labels.head_weights(step.labels)
        species = self.labels.species(step.labels)
        graph = make_graph(step.edge_vectors, step.edge_index, species, state=self._state(species))
        node_energies, edge_gradients = self.evaluator.evaluate(graph, weights)
        energies = (weights * node_energies.cpu()).sum(1).numpy()
        write_step(data, energies, edge_gradients.cpu().to(torch.float64).numpy())

    def _warn(self, labels: torch.Tensor) -> None:
        for sentence in self._once.new(self.labels.warnings(labels)):
            print(f"mhff: warning: {sentence}", flush=True)

    def _state(self, species: torch.Tensor) -> torch.Tensor:
        """Total charge and spin multiplicity of every atom's structure, `[n, 2]`."""
        state = torch.tensor([self.evaluator.capabilities.default_state], dtype=torch.float64)
        return state.expand(len(species), -1)


def read_step(data: Any, tags: np.ndarray) -> Step:
    """A program's inputs; `tags [ntotal]` are LAMMPS' atom IDs. Array properties of `data` fail
    where they are empty.
    """
    atoms = data.iatoms[: data.nlistatoms] if data.nlistatoms else np.zeros(0, dtype=np.int32)
    labels = data.elems[atoms] if data.nlistatoms else np.zeros(0, dtype=np.int32)
    if data.npairs:
        row = np.full(data.nlocal, -1)  # atoms with NULL labels have no row
        row[atoms] = np.arange(len(atoms))
        edge_index = np.stack([row[owners(tags, data.nlocal)[data.pair_j]], row[data.pair_i]])
        if edge_index.min() < 0:
            raise RuntimeError(
                "LAMMPS gave a pair with an atom that is not in this pair style's list"
            )
        edge_vectors = -data.rij
    else:
        edge_index, edge_vectors = np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3))
    return Step(
        torch.from_numpy(labels).to(torch.int64),
        torch.from_numpy(edge_vectors),
        torch.from_numpy(edge_index),
    )


def owners(tags: np.ndarray, n_local: int) -> np.ndarray:
    """Local index of the atom that each atom is, or is an image of, `[ntotal]`, from atom IDs
    `[ntotal]`.
    """
    if len(tags) and tags.min() <= 0:
        raise MHFFError(
            "mhff needs atom IDs and this simulation has none; remove 'atom_modify id no' from the "
            "input"
        )
    order = np.argsort(tags[:n_local])
    return order[np.searchsorted(tags[:n_local], tags, sorter=order)]


def write_step(data: Any, energies: np.ndarray, edge_gradients: np.ndarray) -> None:
    """Give LAMMPS the energies `[n]`, eV, and edge gradients `[E, 3]`, eV/A, both float64, of a
    `Step`'s rows and edges.
    """
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
