"""Structures that a model should learn next, for the labelling scripts.

    python candidates.py {materials|surfaces|molecules} SEED NUMBER FILE MODEL [MODEL ...]
                         [--only NAME ...]

Draws structures that the sets have little of: snapshots of dynamics with the first model, up to the
moment where it goes astray; compressed and stretched crystals; other surfaces, and molecules closer
to and farther from them; stretched bonds and radicals. With several models (of other seeds, for
example), three times as many are drawn, and those kept on which their forces disagree most. With
--only, structures of these names alone, such as ice_VIII. Needs mhff; a MODEL is a file or `mini`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import bulk, molecule, surface
from ase.io import write
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from frames import MAX_FORCE, separated
from label_molecules import MAX_ATOMS
from label_molecules import draw as draw_molecule
from label_periodic import (
    ADSORBATES,
    HALF_VACUUM,
    MAX_SLAB_ATOMS,
    adsorb,
    draw_surface,
    perturbed,
    prototypes,
)

from mhff import MHFFCalculator
from mhff.errors import MHFFError

Drawn = tuple[str, Atoms]
DRAWN_PER_KEPT = 3
"""Structures drawn for each one that is kept, if several models can disagree."""
TEMPERATURES = {
    "materials": (600, 1500, 3000),
    "surfaces": (300, 600),
    "molecules": (300, 1000, 2000),
}
"""Temperatures of the dynamics, K."""
N_STEPS = (50, 400)
"""Steps of the dynamics, 1 fs each (0.5 fs for molecules)."""
MAX_ADVANCE = 10
"""Steps between two looks at the forces."""
RADICALS = {"OH": 1, "CH3": 1, "NH2": 1, "CN": 1, "NO": 1, "HCO": 1, "C2H5": 1, "H2COH": 1}
VOLUMES = (0.75, 1.35)
"""Volumes of strained crystals, in units of the volume at rest."""
MOLECULAR_VOLUMES = (0.6, 1.35)
"""The same for crystals of molecules, which are softer."""
MOLECULAR = ("CO2_Pa3", "ice_VIII", "N2_alpha")
TRIPLETS = {"O2": 2, "NH": 2, "CH2_s3B1d": 2}
"""Open-shell molecules and their unpaired electrons."""


def moved(head: str, start: Drawn, calculator: MHFFCalculator, rng: np.random.Generator) -> Drawn:
    """A structure after dynamics with the model, or where its forces became too large to label."""
    name, atoms = start
    atoms.calc = calculator
    temperature = float(rng.choice(TEMPERATURES[head]))
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    step = 0.5 if head == "molecules" else 1.0
    dynamics = Langevin(
        atoms, step * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng
    )
    last = atoms.copy()
    try:
        for _ in range(int(rng.integers(*N_STEPS)) // MAX_ADVANCE):
            dynamics.run(MAX_ADVANCE)
            if np.abs(atoms.get_forces()).max() > MAX_FORCE or not separated(atoms):
                break
            last = atoms.copy()
    except MHFFError:  # atoms that coincide, for example
        pass
    return name, last


def draw_crystal(rng: np.random.Generator) -> Drawn:
    """A prototype near its equilibrium."""
    choices = prototypes()
    weights = np.array([weight for _, weight in choices.values()], dtype=float)
    name = str(rng.choice(list(choices), p=weights / weights.sum()))
    return name, perturbed(choices[name][0], 0.02, 0.02, rng)


def draw_strained(rng: np.random.Generator) -> Drawn:
    """A crystal strongly compressed or stretched, with a little shear."""
    name, atoms = draw_crystal(rng)
    volumes = MOLECULAR_VOLUMES if name in MOLECULAR else VOLUMES
    scale = rng.uniform(*volumes) ** (1 / 3)
    atoms.set_cell(atoms.cell * scale, scale_atoms=True)
    return name, perturbed(atoms, float(rng.choice([0.01, 0.05])), 0.02, rng)


def draw_other_surface(rng: np.random.Generator) -> Drawn:
    """MgO(110), or two molecules on MgO(100), or one at any height."""
    face = (1, 1, 0) if rng.random() < 0.4 else (1, 0, 0)
    crystal = bulk("MgO", "rocksalt", a=4.25 * (1 + rng.normal(0, 0.02)), cubic=True)
    slab = surface(crystal, face, int(rng.choice([1, 2])), vacuum=HALF_VACUUM)
    slab.positions += rng.normal(0, rng.choice([0.03, 0.1]), slab.positions.shape)
    top = slab.positions[:, 2].max()
    names = rng.choice([name for name in ADSORBATES if name != "none"], int(rng.integers(1, 3)))
    for name in names:
        adsorb(slab, str(name), top + rng.uniform(-0.4, 1.5), rng)
    heights = slab.positions[:, 2]
    slab.positions[:, 2] -= heights.min() - HALF_VACUUM
    slab.cell[2] = [0, 0, np.ptp(heights) + 2 * HALF_VACUUM]
    slab.pbc = True
    return f"MgO{''.join(map(str, face))}_{'_'.join(names)}", slab


def draw_radical(rng: np.random.Generator) -> Drawn:
    """An open-shell molecule with its atoms displaced."""
    every = RADICALS | TRIPLETS
    name = str(rng.choice(list(every)))
    atoms = molecule(name)
    atoms.positions += rng.normal(0, rng.choice([0.03, 0.08]), atoms.positions.shape)
    atoms.info["unpaired"] = every[name]
    return f"radical_{name}", atoms


def draw_stretched(rng: np.random.Generator) -> Drawn:
    """A molecule whose nearest pair of atoms, or another near one, is pulled apart or pushed."""
    name, atoms = draw_molecule(rng)
    distances = atoms.get_all_distances()
    pairs = np.argwhere(np.triu(distances < 1.7, 1))
    first, second = pairs[rng.integers(len(pairs))]
    atoms.set_distance(first, second, distances[first, second] * rng.uniform(0.8, 1.5), fix=0)
    atoms.positions += rng.normal(0, 0.03, atoms.positions.shape)
    return name, atoms


def draw(head: str, calculator: MHFFCalculator, rng: np.random.Generator) -> Drawn:
    """One candidate, half of them from dynamics."""
    starts: dict[str, Callable[[np.random.Generator], Drawn]] = {
        "materials": draw_crystal,
        "surfaces": draw_surface,
        "molecules": draw_molecule,
    }
    if rng.random() < 0.5:
        return moved(head, starts[head](rng), calculator, rng)
    if head == "materials":
        return draw_strained(rng)
    if head == "surfaces":
        return draw_other_surface(rng)
    return draw_radical(rng) if rng.random() < 0.3 else draw_stretched(rng)


def usable(head: str, atoms: Atoms) -> bool:
    """Whether a candidate is worth its price: no atoms in one another, not too many."""
    most = {"materials": np.inf, "surfaces": MAX_SLAB_ATOMS, "molecules": MAX_ATOMS}
    return separated(atoms) and len(atoms) <= most[head]


def disagreement(atoms: Atoms, calculators: Sequence[MHFFCalculator]) -> float:
    """Largest distance of a force on an atom from its mean over the models, eV/A."""
    forces = np.array([calculator.get_forces(atoms) for calculator in calculators])
    return float(np.linalg.norm(forces - forces.mean(axis=0), axis=2).max())


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw structures that a model should learn next.")
    parser.add_argument("head", choices=list(TEMPERATURES))
    parser.add_argument("seed", type=int)
    parser.add_argument("number", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--only", nargs="+", help="names of the structures to keep")
    arguments = parser.parse_args()
    head = arguments.head
    calculators = [MHFFCalculator(name, head=head) for name in arguments.models]
    make = partial(draw, head, calculators[0], np.random.default_rng(arguments.seed))
    several = len(calculators) > 1
    found: list[tuple[float, Atoms]] = []
    while len(found) < arguments.number * (DRAWN_PER_KEPT if several else 1):
        name, atoms = make()
        if usable(head, atoms) and name in (arguments.only or [name]):
            score = disagreement(atoms, calculators) if several else 0.0
            candidate = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
            unpaired = {key: atoms.info[key] for key in ("unpaired",) if key in atoms.info}
            candidate.info = {"config_type": name, "disagreement": round(score, 3), **unpaired}
            found.append((score, candidate))
            best = sorted(found, key=lambda pair: -pair[0])[: arguments.number]
            write(arguments.file, [atoms for _, atoms in best], format="extxyz")
    print(f"{arguments.file}: {arguments.number} of {len(found)} structures drawn")


if __name__ == "__main__":
    main()
