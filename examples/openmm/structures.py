"""Write alanine-dipeptide.pdb."""

import io

import numpy as np
import openmm
from openmm import app, unit

HEAVY_ATOMS = """\
ATOM      1  CH3 ACE A   1
ATOM      2  C   ACE A   1
ATOM      3  O   ACE A   1
ATOM      4  N   ALA A   2
ATOM      5  CA  ALA A   2
ATOM      6  CB  ALA A   2
ATOM      7  C   ALA A   2
ATOM      8  O   ALA A   2
ATOM      9  N   NME A   3
ATOM     10  C   NME A   3
"""
ACETYL = [[0.0, 0.0, 0.0], [1.52, 0.0, 0.0], [2.15, 1.05, 0.0]]
"""Positions of the first three atoms, A."""
INTERNAL_COORDINATES = (
    (1, 0, 2, 1.34, 116, 180),
    (3, 1, 0, 1.46, 122, 180),
    (4, 3, 1, 1.53, 110, 160),
    (4, 3, 1, 1.53, 110, -80),  # phi
    (6, 4, 3, 1.23, 120, -100),
    (6, 4, 3, 1.34, 117, 80),  # psi
    (8, 6, 4, 1.46, 122, 180),
)
"""The next atoms: numbers of those that bond, angle and dihedral refer to; values, A, degrees."""


def heavy_atoms() -> app.PDBFile:
    """Alanine dipeptide without hydrogens, near its minimum C7eq."""
    positions = [np.array(position) for position in ACETYL]
    for *others, length, angle, dihedral in INTERNAL_COORDINATES:
        first, second, third = (positions[other] for other in others)
        theta, phi = np.radians([angle, dihedral])
        along = (first - second) / np.linalg.norm(first - second)
        normal = np.cross(second - third, along)
        normal /= np.linalg.norm(normal)
        across = np.cross(normal, along)
        turned = np.cos(phi) * across + np.sin(phi) * normal
        positions.append(first + length * (np.sin(theta) * turned - np.cos(theta) * along))
    lines = [
        f"{line:30}{x:8.3f}{y:8.3f}{z:8.3f}"
        for line, (x, y, z) in zip(HEAVY_ATOMS.splitlines(), positions, strict=True)
    ]
    return app.PDBFile(io.StringIO("\n".join([*lines, "END"])))


def main() -> None:
    """Add hydrogens, minimise the energy of Amber's ff14SB, and centre the molecule."""
    pdb = heavy_atoms()
    forcefield = app.ForceField("amber14/protein.ff14SB.xml")
    molecule = app.Modeller(pdb.topology, pdb.positions)
    molecule.addHydrogens(forcefield)
    system = forcefield.createSystem(molecule.topology)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    context.setPositions(molecule.positions)
    openmm.LocalEnergyMinimizer.minimize(context)
    state = context.getState(positions=True)
    positions = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    with open("alanine-dipeptide.pdb", "w") as file:
        app.PDBFile.writeFile(molecule.topology, positions - positions.mean(axis=0), file)


if __name__ == "__main__":
    main()
