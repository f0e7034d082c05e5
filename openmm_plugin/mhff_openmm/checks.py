"""Checks of what a user hands over: which particles, their elements, and the box."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable

import numpy as np
import openmm
from openmm import app, unit

from mhff.errors import MHFFError, listing

BOX_TOLERANCE = 1e-5
"""How far the topology's and the System's box vectors may differ, nm."""


def selected_particles(
    system: openmm.System, topology: app.Topology, atoms: Iterable[int] | None
) -> list[int]:
    """Indices of the particles that the force acts on, in the order given; all of them if `atoms`
    is None.

    Raises MHFFError if the topology is not the System's, or an index is out of range, twice there
    or not an integer.
    """
    n = topology.getNumAtoms()
    # openmm-ml asks for forces in an empty System and moves them to the real one
    if system.getNumParticles() not in (0, n):
        raise MHFFError(
            f"the topology has {n} atoms but the System has {system.getNumParticles()} particles; "
            "give those that belong together"
        )
    if atoms is None:
        indices = list(range(n))
    else:
        indices = _integers(atoms)
        outside = [index for index in indices if not 0 <= index < n]
        if outside:
            raise MHFFError(
                f"atoms has the index {outside[0]}, but this topology has the atoms 0 to {n - 1}; "
                "give indices among these"
            )
        if len(set(indices)) < len(indices):
            (twice, _), *_ = Counter(indices).most_common(1)
            raise MHFFError(f"atoms has the index {twice} more than once; give each atom once")
    if not indices:
        raise MHFFError(
            "expected at least one atom for the mhff force, got none; give atoms=None for all of "
            "the topology"
        )
    return indices


def _integers(atoms: Iterable[int]) -> list[int]:
    try:
        return [operator.index(index) for index in atoms]
    except TypeError as error:
        raise MHFFError(
            f"atoms must be None or indices of atoms, as atoms=[0, 1, 2] ({error})"
        ) from error


def symbols_of(system: openmm.System, topology: app.Topology, indices: list[int]) -> list[str]:
    """Chemical symbols of the selected particles; raises MHFFError for a virtual site or a particle
    without an element.
    """
    atoms = list(topology.atoms())
    for index in indices:
        virtual = index < system.getNumParticles() and system.isVirtualSite(index)
        if virtual or atoms[index].element is None:
            what = "a virtual site" if virtual else "without an element"
            raise MHFFError(
                f"particle {index} ('{atoms[index].name}') is {what}; "
                "leave it out with atoms=, or give the topology its element"
            )
    return [atoms[index].element.symbol for index in indices]


def resolve_periodic(system: openmm.System, topology: app.Topology, periodic: bool | None) -> bool:
    """Whether the force is periodic: as asked, or if the topology has box vectors or the System is
    periodic.

    Raises MHFFError if the force makes the System periodic and the System's box is not the
    topology's.
    """
    vectors = topology.getPeriodicBoxVectors()
    if periodic is None:
        periodic = vectors is not None or system.usesPeriodicBoundaryConditions()
    if (
        periodic
        and vectors is not None
        and system.getNumParticles()
        and not system.usesPeriodicBoundaryConditions()
    ):
        ours, theirs = _nanometers(vectors), _nanometers(system.getDefaultPeriodicBoxVectors())
        if np.abs(ours - theirs).max() > BOX_TOLERANCE:
            raise MHFFError(
                f"the topology's box vectors are {listing(ours.tolist())} nm, the System's "
                f"{listing(theirs.tolist())} nm; "
                "call system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors()) "
                "first, or give periodic=False"
            )
    return bool(periodic)


def _nanometers(vectors: Iterable[unit.Quantity]) -> np.ndarray:
    return np.array([vector.value_in_unit(unit.nanometer) for vector in vectors])
