"""Structures on which lowered networks and compiled programs are compared with the eager model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from ase import Atoms

from mhff.atoms import graph_from_atoms
from mhff.graph import Graph, make_graph
from mhff.neighbours import MIN_DISTANCE

SIZES = (1, 2, 9, 64)
"""Numbers of atoms in ordinary structures."""
MAX_SMALL = 9
"""Largest number of atoms of a small structure."""
SPACING = 2.3
"""Distance between neighbours of ordinary structures before rattling, A."""
DENSE_SIZE = 8
"""Number of atoms of the dense crystal: a whole cube, so that each atom has all its neighbours."""
DENSE_SPACING = 1.78
"""Distance between neighbours of the dense crystal, A: 0.177 atoms per A^3, as in diamond."""
RATTLE = 0.12
"""Standard deviation of displacements, A."""
N_DISTANCES = 60
"""Number of distances of dimers of two elements."""
FEWER = 4
"""Every so many of these distances are those of few dimers."""
DIRECTION = (0.48, 0.6, 0.64)
"""Unit vector along which dimers lie; no harmonic vanishes there."""


def check_structures(elements: Sequence[str], small: bool = False) -> Iterator[Atoms]:
    """Rattled crystals and clusters of random species, a dense crystal and one atom among them.

    If `small`, only structures of few atoms.
    """
    rng = np.random.default_rng(0)
    for n_atoms in SIZES:
        for periodic in (False, True):
            atoms = _simple_cubic(elements, n_atoms, SPACING, rng)
            atoms.pbc = periodic
            if n_atoms <= MAX_SMALL or not small:
                yield atoms
    dense = _simple_cubic(elements, DENSE_SIZE, DENSE_SPACING, rng)
    dense.pbc = True
    yield dense


def check_graphs(elements: Sequence[str], r_max: float, small: bool = False) -> Iterator[Graph]:
    """Graphs of `check_structures`, and dimers of random species from `MIN_DISTANCE` to `r_max`.

    If `small`, only structures of few atoms and few dimers.
    """
    for atoms in check_structures(elements, small):
        yield graph_from_atoms(atoms, elements, r_max)
    generator = torch.Generator().manual_seed(0)
    r = distances(r_max)[:: FEWER if small else 1]
    yield dimers(torch.randint(len(elements), (len(r), 2), generator=generator), r)


def distances(r_max: float) -> torch.Tensor:
    """Distances from `MIN_DISTANCE` to just below `r_max`, A, `[N_DISTANCES]`."""
    return torch.linspace(MIN_DISTANCE, r_max, N_DISTANCES + 1, dtype=torch.float64)[:-1]


def all_dimers(first: int, n_elements: int, r_max: float, beginning: int = 0) -> Graph:
    """Dimers of one element with those from `beginning` on, at all `distances` but the shortest.

    At the shortest, forces are so large that rounding decides their error, not the tables.
    """
    r = distances(r_max)[1:]
    second = torch.arange(beginning, n_elements).repeat_interleave(len(r))
    species = torch.stack([torch.full_like(second, first), second], dim=1)
    return dimers(species, r.repeat(n_elements - beginning))


def dimers(species: torch.Tensor, r: torch.Tensor) -> Graph:
    """Dimers, a structure each, of the atoms `species [n, 2]` at distances `r [n]`."""
    n = len(r)
    first = 2 * torch.arange(n)
    vectors = r[:, None] * torch.tensor(DIRECTION, dtype=torch.float64)
    edge = torch.stack([first, first + 1], dim=1)
    return make_graph(
        edge_vectors=torch.stack([vectors, -vectors], dim=1).flatten(0, 1),
        edge_index=torch.stack([edge.flatten(), edge.flip(1).flatten()]),
        species=species.flatten(),
        structure=torch.arange(n).repeat_interleave(2),
        cells=torch.zeros(n, 3, 3, dtype=torch.float64),
    )


def _simple_cubic(
    elements: Sequence[str], n_atoms: int, spacing: float, rng: np.random.Generator
) -> Atoms:
    """Rattled atoms on sites of a simple cubic lattice, in the smallest cube that holds them."""
    side = int(np.ceil(n_atoms ** (1 / 3)))
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:n_atoms]
    positions = spacing * sites + rng.normal(0, RATTLE, sites.shape)
    return Atoms(rng.choice(list(elements), n_atoms), positions, cell=np.eye(3) * side * spacing)
