"""Numbers that identify a structure: for its part of the split, and to find duplicates."""

from __future__ import annotations

import hashlib

import numpy as np
from ase import Atoms

from mhff.graph import Graph

DECIMALS = 4
"""Decimals of positions and cell, A, that count: writing and reading a file changes later ones."""
RANGES = (0.7, 1.3, 2.2)
"""Decay lengths, A, of the sums over distances that `environment_key` compares."""
RESOLUTION = 1e-3
"""Sums that differ by more are those of different structures; distances by about as many A."""


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
    """A hash, 63 bits, that is the same for structures with the same atoms at the same distances.

    Neither the order of the atoms matters, nor their periodic images, translations, rotations and
    reflections. Distances count as far as the graph has edges, and state and number of atoms do.
    """
    species = graph.species.numpy().astype(np.int64)
    counts = np.bincount(species)
    digest = hashlib.sha256(counts.astype("<i8").tobytes())
    if graph.state is not None:
        digest.update(np.rint(graph.state[0].double().numpy() * 1e3).astype("<i8").tobytes())
    edges = graph.edge_index.numpy()
    n_species = len(counts)
    pairs = species[edges[0]] * n_species + species[edges[1]]
    distances = np.linalg.norm(graph.edge_vectors.double().numpy(), axis=1)
    for length in RANGES:
        weights = np.exp(-distances / length)
        sums = np.bincount(pairs, weights, n_species**2)
        digest.update(np.rint(sums / RESOLUTION).astype("<i8").tobytes())
    return int.from_bytes(digest.digest()[:8], "big") >> 1
