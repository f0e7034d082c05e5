"""OpenMM Systems and topologies of ASE structures, for benchmark, demonstration and tests."""

from __future__ import annotations

import openmm
from ase import Atoms
from openmm import app, unit


def system_of(
    atoms: Atoms, residue: str = "ALL", residue_size: int | None = None
) -> tuple[openmm.System, app.Topology]:
    """A System without forces and its topology, in residues of `residue_size` atoms or in one.

    The box of a periodic structure is its cell, which must be in OpenMM's reduced form.
    """
    system = openmm.System()
    topology = app.Topology()
    chain = topology.addChain()
    size = residue_size or len(atoms)
    for start in range(0, len(atoms), size):
        group = topology.addResidue(residue, chain)
        for number, atom in enumerate(atoms[start : start + size]):
            element = app.Element.getByAtomicNumber(int(atom.number))
            topology.addAtom(f"{atom.symbol}{number}", element, group)
            system.addParticle(atom.mass)
    if atoms.pbc.any():
        box = [openmm.Vec3(*row) for row in atoms.cell[:]] * unit.angstrom
        topology.setPeriodicBoxVectors(box)
        system.setDefaultPeriodicBoxVectors(*box)
    return system, topology
