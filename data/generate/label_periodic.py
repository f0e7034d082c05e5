"""Label bulk crystals (PBE) or MgO and Mg slabs with adsorbates (RPBE) with GPAW.

    python label_periodic.py {materials|surfaces} SEED SECONDS FOLDER [--candidates FILE]

Appends raw frames to FOLDER/HEAD-SEED.extxyz until the time is over; `merge.py` adds them to the
data. With --candidates the structures of FILE are labelled in their order, and a second run goes on
behind the last one. Needs GPAW 22.8 with its PAW data sets (Debian: gpaw, gpaw-data). k-points are
Gamma-centred.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from ase import Atoms
from ase.build import bulk, hcp0001, molecule, surface
from ase.spacegroup import crystal
from frames import candidates, drawn, label_until, labelled_frame, read_arguments, separated
from levels import FUNCTIONALS, periodic_calculator, periodic_level

K_INSULATOR, K_METAL, K_METAL_SLAB = 8.4, 18.0, 16.0
"""Number of k-points along a lattice vector times its length, A; rounded up.

Graphite counts as a metal.
"""
METALS = ("Mg_hcp", "Mg_bcc", "C_graphite")
MAX_SLAB_ATOMS = 20
HALF_VACUUM = 4.5
"""Vacuum below and above a slab, A."""
ADSORBATES = {
    "H2O": 0.24,
    "CO": 0.17,
    "CO2": 0.13,
    "NH3": 0.11,
    "CH4": 0.08,
    "H2": 0.06,
    "N2": 0.05,
    "CH3OH": 0.08,
    "H2CO": 0.04,
    "none": 0.04,
}
"""Closed-shell molecules, since the calculation is spin-paired, and how often each is drawn."""


def prototypes() -> dict[str, tuple[Atoms, int]]:
    """Crystals at rest by name, and how often each is drawn."""
    hexagonal = [90, 90, 120]
    graphite = Atoms(
        "C4",
        scaled_positions=[(0, 0, 0.25), (1 / 3, 2 / 3, 0.25), (0, 0, 0.75), (2 / 3, 1 / 3, 0.75)],
        cell=[2.46, 2.46, 6.8, *hexagonal],
        pbc=True,
    )
    brucite = crystal(
        ["Mg", "O", "H"],
        [(0, 0, 0), (1 / 3, 2 / 3, 0.22), (1 / 3, 2 / 3, 0.43)],
        spacegroup=164,
        cellpar=[3.15, 3.15, 4.75, *hexagonal],
    )
    magnesite = crystal(
        ["Mg", "C", "O"],
        [(0, 0, 0), (0, 0, 0.25), (0.2775, 0, 0.25)],
        spacegroup=167,
        cellpar=[4.65, 4.65, 15.1, *hexagonal],
        primitive_cell=True,
    )
    carbon_dioxide = crystal(
        ["C", "O"], [(0, 0, 0), (0.118, 0.118, 0.118)], spacegroup=205, cellpar=[5.6] * 3 + [90] * 3
    )
    ice = crystal(
        ["O", "H"],
        [(0, 0.25, 0.107), (0, 0.414, 0.1935)],
        spacegroup=141,
        setting=2,
        cellpar=[4.66, 4.66, 6.78, 90, 90, 90],
        primitive_cell=True,
    )
    return {
        "MgO_rocksalt": (bulk("MgO", "rocksalt", a=4.25, cubic=True), 8),
        "MgO_wurtzite": (bulk("MgO", "wurtzite", a=3.32, c=5.1), 2),
        "MgO_zincblende": (bulk("MgO", "zincblende", a=4.6, cubic=True), 2),
        "MgO_cscl": (bulk("MgO", "cesiumchloride", a=2.69).repeat((2, 1, 1)), 1),
        "Mg_hcp": (bulk("Mg"), 4),
        "Mg_bcc": (bulk("Mg", "bcc", a=3.57), 1),
        "C_diamond": (bulk("C", "diamond", a=3.57, cubic=True), 3),
        "C_graphite": (graphite, 2),
        "brucite": (brucite, 3),
        "magnesite": (magnesite, 3),
        "CO2_Pa3": (carbon_dioxide, 2),
        "ice_VIII": (ice, 3),
        "N2_alpha": (
            crystal(["N"], [(0.0565,) * 3], spacegroup=205, cellpar=[5.6] * 3 + [90] * 3),
            1,
        ),
    }


def perturbed(atoms: Atoms, sigma: float, strain: float, rng: np.random.Generator) -> Atoms:
    """The structure with Gaussian displacements (A) and a random symmetric strain."""
    atoms = atoms.copy()
    if strain:
        shear = rng.normal(0, strain, (3, 3))
        deformation = np.eye(3) * (1 + rng.normal(0, strain)) + 0.3 * (shear + shear.T)
        atoms.set_cell(atoms.cell @ deformation, scale_atoms=True)
    atoms.positions += rng.normal(0, sigma, atoms.positions.shape)
    return atoms


def k_points(head: str, name: str, atoms: Atoms) -> tuple[int, ...]:
    """Divisions along each lattice vector; one across a slab."""
    if head == "materials":
        length = K_METAL if name in METALS else K_INSULATOR
    else:
        length = K_METAL_SLAB if name.startswith("Mg0001") else K_INSULATOR
    divisions = [max(1, int(np.ceil(length / edge))) for edge in atoms.cell.lengths()]
    return tuple(divisions) if head == "materials" else (divisions[0], divisions[1], 1)


def draw_material(rng: np.random.Generator) -> tuple[str, Atoms]:
    """Name and structure of a strained and rattled crystal."""
    choices = prototypes()
    weights = np.array([weight for _, weight in choices.values()], dtype=float)
    name = str(rng.choice(list(choices), p=weights / weights.sum()))
    for _ in range(50):
        atoms = perturbed(
            choices[name][0],
            rng.choice([0.01, 0.03, 0.06, 0.1, 0.15]),
            rng.choice([0, 0.02, 0.04, 0.06]),
            rng,
        )
        if separated(atoms):
            break
    return name, atoms


def draw_slab(oxide: bool, rng: np.random.Generator) -> Atoms:
    """MgO(100) of one or two layers, or Mg(0001), with a lattice constant a little off."""
    if oxide:
        crystal_ = bulk("MgO", "rocksalt", a=4.25 * (1 + rng.normal(0, 0.015)), cubic=True)
        return surface(crystal_, (1, 0, 0), int(rng.choice([1, 1, 1, 2])), vacuum=HALF_VACUUM)
    return hcp0001("Mg", (2, 2, 2), a=3.2 * (1 + rng.normal(0, 0.01)), c=5.2, vacuum=HALF_VACUUM)


def adsorb(slab: Atoms, name: str, top: float, rng: np.random.Generator) -> None:
    """Add a molecule, distorted and turned at random, 1.5 to 3.4 A above `top`."""
    adsorbate = molecule(name)
    adsorbate.positions += rng.normal(0, 0.05, adsorbate.positions.shape)
    adsorbate.rotate(rng.uniform(0, 360), rng.normal(size=3))
    adsorbate.positions -= adsorbate.get_center_of_mass()
    adsorbate.positions[:, 2] += top + rng.uniform(1.5, 3.4) - adsorbate.positions[:, 2].min()
    adsorbate.positions[:, :2] += rng.random(2) @ slab.cell[:2, :2]
    slab.extend(adsorbate)


def draw_surface(rng: np.random.Generator) -> tuple[str, Atoms]:
    """Name and structure of a rattled slab with a molecule above it, or with none."""
    while True:
        oxide = bool(rng.random() < 0.95)
        slab = draw_slab(oxide, rng)
        top = slab.positions[:, 2].max()
        adsorbate = str(rng.choice(list(ADSORBATES), p=list(ADSORBATES.values())))
        slab.positions += rng.normal(0, rng.choice([0.02, 0.06, 0.12]), slab.positions.shape)
        if adsorbate != "none":
            adsorb(slab, adsorbate, top, rng)
        height = slab.positions[:, 2]
        slab.positions[:, 2] -= height.min() - HALF_VACUUM
        slab.cell[2] = [0, 0, np.ptp(height) + 2 * HALF_VACUUM]
        slab.pbc = True
        if separated(slab) and len(slab) <= MAX_SLAB_ATOMS:
            return f"{'MgO100' if oxide else 'Mg0001'}_{adsorbate}", slab


def label(head: str, atoms: Atoms) -> Atoms:
    """Labelled frame of a structure."""
    name = atoms.info["config_type"]
    k = k_points(head, name, atoms)
    atoms.calc = periodic_calculator(head, kpts={"size": k, "gamma": True})
    energy = atoms.get_potential_energy(force_consistent=True)
    more = {"kpts": " ".join(map(str, k)), "REF_stress": atoms.get_stress()}
    return labelled_frame(
        atoms, head, periodic_level(head), name, energy, atoms.get_forces(), **more
    )


def main() -> None:
    arguments = read_arguments("Label crystals or slabs.", *FUNCTIONALS)
    head = arguments.head
    output = arguments.folder / f"{head}-{arguments.seed}.extxyz"
    draw = draw_material if head == "materials" else draw_surface
    rng = np.random.default_rng(arguments.seed)
    structures = (
        candidates(arguments.candidates, output)
        if arguments.candidates
        else drawn(partial(draw, rng))
    )
    label_until(arguments.seconds, output, structures, partial(label, head))


if __name__ == "__main__":
    main()
