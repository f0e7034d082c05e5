"""Numbers that identify a structure: for its part of the split, and to find duplicates."""

from __future__ import annotations

import hashlib

import numpy as np
from ase import Atoms

from mhff.graph import Graph

DECIMALS = 4
"""Decimals of positions and cell, A, that count: writing and reading a file changes later ones."""
BIN = 7.3e-3
"""Width, A, of the bins in which `environment_key` counts distances."""
OFFSET = 2.71e-3
"""Shift of the bins, A: distances in ideal crystals must not lie between two, where they round."""
SAME_DISTANCE = 2e-4
"""Distances that differ by less are the same, A."""


def fraction(atoms: Atoms) -> float:
    """A number in [0, 1): a hash of elements, positions, pbc and the periodic lattice vectors.

    It depends on the order of the atoms, their periodic images and their place in space.
    """
    digest = hashlib.sha256(np.asarray(atoms.numbers, dtype="<i8").tobytes())
    digest.update(np.asarray(atoms.pbc, dtype=np.uint8).tobytes())
    for values in (atoms.positions, atoms.cell[:] * atoms.pbc[:, None]):
        digest.update(np.rint(values * 10**DECIMALS).astype("<i8").tobytes())
    return float(int.from_bytes(digest.digest()[:6], "big") / 2**48)


def environment_key(graph: Graph) -> int:
    """A hash, 63 bits, of the atoms and the distances between them; equal for similar structures.

    Neither the order of the atoms matters, nor their periodic images, translations, rotations and
    reflections. Distances count as far as the graph has edges, and state and number of atoms do.
    `same_environments` tells which of those with one key are the same. Rounding in a file moves one
    distance in a million into another bin, and hides such a copy.
    """
    counts = np.bincount(graph.species.numpy())
    digest = hashlib.sha256(counts.astype("<i8").tobytes())
    if graph.state is not None:
        digest.update(np.rint(graph.state[0].double().numpy() * 1e3).astype("<i8").tobytes())
    pairs, distances = _distances(graph)
    bins = ((distances + OFFSET) / BIN).astype(np.int64)
    found, numbers = np.unique(bins * len(counts) ** 2 + pairs, return_counts=True)
    for values in (found, numbers):
        digest.update(values.astype("<i8").tobytes())
    return int.from_bytes(digest.digest()[:8], "big") >> 1


def same_environments(first: Graph, second: Graph) -> bool:
    """Whether two graphs with one `environment_key` have the same distances, to `SAME_DISTANCE`."""
    ordered = []
    for graph in (first, second):
        pairs, distances = _distances(graph)
        ordered.append(distances[np.lexsort((distances, pairs))])
    if len(ordered[0]) != len(ordered[1]):
        return False
    return float(np.abs(ordered[0] - ordered[1]).max(initial=0.0)) < SAME_DISTANCE


def _distances(graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """For each edge a number for its pair of species, and its length, A."""
    species = graph.species.numpy().astype(np.int64)
    sender, receiver = species[graph.edge_index.numpy()]
    n_species = species.max() + 1
    return sender * n_species + receiver, np.linalg.norm(
        graph.edge_vectors.double().numpy(), axis=1
    )
