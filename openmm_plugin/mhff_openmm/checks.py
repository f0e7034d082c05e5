"""Checks of a user's input: the particles, their elements, and the box."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import openmm
from ase.data import chemical_symbols
from openmm import app, unit

from mhff.errors import MHFFError, listing

BOX_TOLERANCE = 1e-5
"""Largest difference between the topology's and the System's box vectors, nm."""


def check_kinds(system: object, topology: object) -> None:
    """Raise MHFFError unless these are a System and a Topology of OpenMM."""
    for given, kind in ((system, openmm.System), (topology, app.Topology)):
        if not isinstance(given, kind):
            raise MHFFError(
                f"expected an OpenMM {kind.__name__}, got {type(given).__name__}; call "
                "add_mhff_force(system, topology, model), for example with the topology of "
                "app.PDBFile"
            )


def check_sizes(system: openmm.System, topology: app.Topology) -> None:
    """Raise MHFFError unless the System has a particle for each atom of the topology."""
    n_particles = system.getNumParticles()
    n_atoms = topology.getNumAtoms()
    if n_particles != n_atoms:
        raise MHFFError(
            f"the topology has {n_atoms} atoms but the System has {n_particles} particles; "
            "give a topology and a System that belong together"
        )


def selected_particles(
    system: openmm.System, topology: app.Topology, atoms: Iterable[int] | None
) -> list[int]:
    """Indices of the particles that the force acts on, in the order given; None means all of them.

    Raises MHFFError if the topology does not belong to the System, or if an index is out of range,
    repeated, or not an integer.
    """
    if system.getNumParticles():  # embeddings of openmm-ml may ask with an empty System
        check_sizes(system, topology)
    n = topology.getNumAtoms()
    indices = list(range(n)) if atoms is None else _valid_indices(atoms, n)
    if not indices:
        raise MHFFError(
            "expected at least one atom for the mhff force, got none; give atoms=None for all "
            "atoms of the topology"
        )
    return indices


def _valid_indices(atoms: Iterable[int], n: int) -> list[int]:
    try:
        indices = [operator.index(index) for index in atoms]
    except TypeError as error:
        raise MHFFError(
            f"atoms must be None or indices of atoms, as atoms=[0, 1, 2] ({error})"
        ) from error
    outside = [index for index in indices if not 0 <= index < n]
    if outside:
        raise MHFFError(
            f"atoms contains the index {outside[0]}, but this topology has the atoms 0 to {n - 1}"
        )
    for index, count in Counter(indices).items():
        if count > 1:
            raise MHFFError(f"atoms contains the index {index} more than once; give each atom once")
    return indices


def symbols_of(system: openmm.System, topology: app.Topology, indices: list[int]) -> list[str]:
    """Chemical symbols of the selected particles; isotopes such as deuterium have their element's.

    Raises MHFFError for a virtual site or a particle without an element.
    """
    atoms = list(topology.atoms())
    for index in indices:
        virtual = index < system.getNumParticles() and system.isVirtualSite(index)
        if virtual or atoms[index].element is None:
            kind = "is a virtual site" if virtual else "has no element"
            raise MHFFError(
                f"particle {index} ('{atoms[index].name}') {kind}; "
                "leave it out with atoms=, delete it with app.Modeller, or give the topology its "
                "element"
            )
    return [chemical_symbols[atoms[index].element.atomic_number] for index in indices]


def nested_forces(system: openmm.System) -> Iterator[openmm.Force]:
    """The forces of a System, and those inside its CustomCVForces."""
    waiting = list(system.getForces())
    while waiting:
        force = waiting.pop(0)
        yield force
        if isinstance(force, openmm.CustomCVForce):
            variables = range(force.getNumCollectiveVariables())
            waiting += [force.getCollectiveVariable(number) for number in variables]


def resolve_periodic(system: openmm.System, topology: app.Topology, periodic: bool | None) -> bool:
    """Whether the force is periodic: as requested, or else if the topology or the System is.

    Raises MHFFError if this force makes the System periodic, and the System's box differs from that
    of the topology, and for a request that is not True, False or None.
    """
    if periodic not in (True, False, None):
        raise MHFFError(
            f"expected True, False or None as periodic, got {periodic!r}; leave it out, and the "
            "topology and the System decide"
        )
    vectors = topology.getPeriodicBoxVectors()
    system_is_periodic = system.usesPeriodicBoundaryConditions()
    if periodic is None:
        periodic = vectors is not None or system_is_periodic
    if periodic and vectors is not None and system.getNumParticles() and not system_is_periodic:
        _check_box(system, vectors)
    return bool(periodic)


def _check_box(system: openmm.System, vectors: Iterable[unit.Quantity]) -> None:
    of_topology = _nanometers(vectors)
    of_system = _nanometers(system.getDefaultPeriodicBoxVectors())
    if np.abs(of_topology - of_system).max() > BOX_TOLERANCE:
        raise MHFFError(
            f"the topology's box vectors are {listing(of_topology.tolist())} nm, the System's "
            f"{listing(of_system.tolist())} nm; "
            "call system.setDefaultPeriodicBoxVectors(*topology.getPeriodicBoxVectors()) "
            "first, or give periodic=False"
        )


def _nanometers(vectors: Iterable[unit.Quantity]) -> np.ndarray:
    return np.array([vector.value_in_unit(unit.nanometer) for vector in vectors])
