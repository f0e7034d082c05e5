"""Lattice energies of the polymorphs of ice."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.units import kJ, mol

from mhff.errors import listing
from mhff_suite.errors import mean_absolute_error, parity, share
from mhff_suite.outcome import Outcome
from mhff_suite.physics.relaxation import relaxed
from mhff_suite.potential import Potential
from mhff_suite.protocol import WITH_DISPERSION, Domain, Reference, Setting, Task
from mhff_suite.references.ice import POLYMORPHS, build, check_genice, water

UNIT = "kJ/mol"
TARGET = 2.0
"""kJ/mol per molecule."""
QUICK = ("VI",)
BOND = (0.8, 1.25)
"""Shortest and longest bond of a whole molecule, A."""
OWN_FUNCTIONALS = (("r2SCAN", "r2scan"), ("PBE", "pbe"))
"""Words in a level of theory without dispersion, and the column of its lattice energies."""


def n_whole(atoms: Atoms) -> int:
    """Number of oxygen atoms with exactly two hydrogen atoms at the distance of a bond."""
    distances = atoms.get_all_distances(mic=True)
    symbols = np.array(atoms.get_chemical_symbols())
    between = distances[np.ix_(symbols == "O", symbols == "H")]
    bonded = (between < BOND[1]).sum(1)
    too_close = (between < BOND[0]).any(1)
    return int(((bonded == 2) & ~too_close).sum())


def lattice_energy(potential: Potential, crystal: Atoms, alone: float) -> float | None:
    """Energy per molecule minus that of a molecule alone, kJ/mol, atoms relaxed.

    None if the relaxation ends without a crystal of whole molecules.
    """
    found = relaxed(potential, crystal)
    n_molecules = len(crystal) // 3
    if found is None or n_whole(found) < n_molecules:
        return None
    return float(found.get_potential_energy() / n_molecules - alone) / (kJ / mol)


def run(setting: Setting) -> Outcome:
    """Errors of the lattice energies, absolute and relative to ice Ih."""
    check_genice()
    phases = [each for each in POLYMORPHS if not setting.quick or each.name in QUICK]
    molecule = relaxed(setting.potential, water())
    energies: list[float | None] = [None] * len(phases)
    if molecule is not None:
        alone = molecule.get_potential_energy()
        energies = [lattice_energy(setting.potential, build(each), alone) for each in phases]
    lost = [each.name for each, own in zip(phases, energies, strict=True) if own is None]
    values = [
        share(
            "polymorphs that fall apart",
            lost,
            len(phases),
            f"relaxation leaves no crystal of water molecules: {listing(lost)}",
        )
    ]
    found = [(each, own) for each, own in zip(phases, energies, strict=True) if own is not None]
    if not found:
        return Outcome(values=tuple(values))
    own = np.array([energy for _, energy in found])
    names = [each.name for each, _ in found]
    dmc = np.array([each.dmc for each, _ in found])
    values.append(mean_absolute_error("lattice energy", UNIT, dmc, own, TARGET))
    if names[0] == "Ih" and len(names) > 1:
        relative = dmc[1:] - dmc[0], own[1:] - own[0]
        values.append(mean_absolute_error("relative to Ih", UNIT, *relative, TARGET / 2))
    for word, column in () if setting.head.dispersion else OWN_FUNCTIONALS:
        if Reference("", "", "", (word,)).is_fair(setting.head):
            published = [getattr(each, column) for each, _ in found]
            name = f"lattice energy, against published {word},"
            values.append(mean_absolute_error(name, UNIT, published, own, TARGET))
    drawing = parity("Lattice energies of ice", UNIT, names, dmc, own)
    return Outcome(values=tuple(values), drawings=(drawing,))


TASK = Task(
    name="ice",
    title="Polymorphs of ice",
    domain=Domain.MOLECULAR_CRYSTALS,
    reference=Reference(
        "diffusion Monte Carlo",
        "F. Della Pia, A. Zen, D. Alfe, A. Michaelides, J. Chem. Phys. 157, 134701 (2022); "
        "structures by GenIce (M. Matsumoto et al., J. Comput. Chem. 39, 61, 2018)",
        "facts; GenIce: MIT",
        WITH_DISPERSION,
    ),
    computes="Energy per molecule against a molecule alone, atoms relaxed at the density of "
    "experiments.",
    run=run,
    cost=25.0,
    needs=("H", "O"),
)
