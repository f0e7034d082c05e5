"""Label molecules and clusters of H C N O at wB97M-D3(BJ)/def2-SVP.

Geometries come from GFN2-xTB dynamics.

    python label_molecules.py SEED SECONDS FOLDER [--candidates FILE]

Appends raw frames to FOLDER/molecules-SEED.extxyz until the time is over; `merge.py` adds them to
the data. With --candidates the structures of FILE are labelled in their order, and a second run
goes on behind the last one. Needs pyscf, pyscf-dispersion, tblite and ase from PyPI, and
OMP_NUM_THREADS=1 in the environment (one run per core).
"""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from ase.build import molecule
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import MaxwellBoltzmannDistribution
from frames import candidates, drawn, label_until, labelled_frame, read_arguments
from levels import MOLECULAR_LEVEL, molecular_energy, molecular_forces

# those that are twice in the list are drawn twice as often
MOLECULES = (
    *(
        "H2O",
        "NH3",
        "CH4",
        "CH3OH",
        "H2CO",
        "HCOOH",
        "HCN",
        "C2H2",
        "C2H4",
        "C2H6",
        "CO",
        "CO2",
        "N2",
        "H2",
        "CH3CONH2",
    ),
    *(
        "CH3COOH",
        "CH3CHO",
        "N2H4",
        "H2CCO",
        "CH3CH2OH",
        "CH3CN",
        "CH3OCH3",
        "C3H8",
        "C4H4O",
        "CH2NHCH2",
    ),
    *("CH3OH", "H2O", "NH3", "HCOOH"),
)
IN_CLUSTERS = ("H2O", "H2O", "H2O", "NH3", "CH3OH", "H2CO", "CO", "CO2", "CH4", "HCN")
CLUSTER_SHARE = 0.35
"""How often a cluster of two or three molecules is drawn."""
MAX_ATOMS = 11
TEMPERATURES = (300, 600, 1000, 1500)
"""Temperatures of the dynamics, K."""
MAX_FORCE = 15.0
"""Largest force component of a frame, eV/A; hotter frames are not kept."""


def draw_cluster(rng: np.random.Generator) -> tuple[str, Atoms]:
    """Two or three molecules at random places and orientations, at least 1.6 A apart."""
    cluster = Atoms()
    for place in range(int(rng.integers(2, 4))):
        member = molecule(str(rng.choice(IN_CLUSTERS)))
        member.rotate(rng.uniform(0, 360), rng.normal(size=3))
        member.positions -= member.get_center_of_mass()
        for _ in range(200):
            direction = rng.normal(size=3)
            trial = member.copy()
            if place:
                trial.positions += direction * rng.uniform(2.6, 4.5) / np.linalg.norm(direction)
            if (
                not len(cluster)
                or np.linalg.norm(cluster.positions[:, None] - trial.positions[None], axis=-1).min()
                > 1.6
            ):
                cluster += trial
                break
    return f"cluster_{cluster.get_chemical_formula()}", cluster


def draw(rng: np.random.Generator) -> tuple[str, Atoms]:
    """A cluster or a molecule of at most `MAX_ATOMS` atoms, at rest."""
    while True:
        if rng.random() < CLUSTER_SHARE:
            name, atoms = draw_cluster(rng)
        else:
            name = str(rng.choice(MOLECULES))
            atoms = molecule(name)
        if len(atoms) <= MAX_ATOMS:
            return name, atoms


def shaken(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """The structure after 10 to 75 fs of Langevin dynamics with GFN2-xTB."""
    from tblite.ase import TBLite

    temperature = float(rng.choice(TEMPERATURES))
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    MaxwellBoltzmannDistribution(atoms, temperature_K=temperature, rng=rng)
    dynamics = Langevin(
        atoms, 0.5 * units.fs, temperature_K=temperature, friction=0.02 / units.fs, rng=rng
    )
    dynamics.run(int(rng.integers(20, 150)))
    return atoms


def label(atoms: Atoms) -> Atoms:
    """Labelled frame of a structure; `unpaired` electrons, if any, as its `info` says."""
    unpaired = int(atoms.info.get("unpaired", 0))
    energy, field = molecular_energy(atoms, unpaired)
    forces = molecular_forces(field)
    if np.abs(forces).max() > MAX_FORCE:
        raise RuntimeError(f"force component above {MAX_FORCE} eV/A")
    more = {"spin": unpaired + 1} if unpaired else {}
    name = atoms.info["config_type"]
    return labelled_frame(atoms, "molecules", MOLECULAR_LEVEL, name, energy, forces, **more)


def main() -> None:
    arguments = read_arguments("Label molecules and clusters.")
    output = arguments.folder / f"molecules-{arguments.seed}.extxyz"
    rng = np.random.default_rng(arguments.seed)

    def draw_shaken() -> tuple[str, Atoms]:
        name, atoms = draw(rng)
        return name, shaken(atoms, rng)

    structures = (
        candidates(arguments.candidates, output) if arguments.candidates else drawn(draw_shaken)
    )
    label_until(arguments.seconds, output, structures, label)


if __name__ == "__main__":
    main()
