"""Polymorphs of ice: structures by GenIce, lattice energies of DMC-ICE13.

F. Della Pia, A. Zen, D. Alfe, A. Michaelides, J. Chem. Phys. 157, 134701 (2022).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from ase import Atoms
from ase.build import molecule

from mhff_suite.protocol import LeftOutError

SEED = 1
"""Seed of the disorder of the protons."""
LINE = re.compile(r"^\s*(O|H|Vector\d)(\s+-?[\d.]+){3}\s*$")


@dataclass(frozen=True)
class Polymorph:
    """A phase of ice with its lattice energies, kJ/mol per molecule."""

    name: str
    lattice: str
    """Its name in GenIce."""
    dmc: float
    """Diffusion Monte Carlo."""
    pbe: float
    r2scan: float


POLYMORPHS = (
    Polymorph("Ih", "1h", -59.45, -62.23, -62.83),
    Polymorph("II", "2", -59.14, -55.54, -61.34),
    Polymorph("III", "3", -58.20, -57.85, -60.39),
    Polymorph("VI", "6", -57.67, -51.58, -59.53),
    Polymorph("VII", "7", -54.46, -43.79, -56.39),
    Polymorph("VIII", "8", -55.22, -45.05, -57.61),
    Polymorph("IX", "9", -58.85, -57.56, -61.00),
    Polymorph("XI", "11", -59.29, -62.60, -63.08),
    Polymorph("XIII", "13", -57.33, -54.54, -60.40),
    Polymorph("XIV", "14", -57.75, -53.24, -60.04),
    Polymorph("XVII", "17", -57.70, -61.52, -62.10),
)
"""Those that GenIce has in cells of up to 64 molecules."""


def check_genice() -> None:
    """Raise LeftOutError unless GenIce is installed."""
    if find_spec("genice2") is None:
        raise LeftOutError("needs genice2: pip install 'mhff[suite]'")


def build(polymorph: Polymorph) -> Atoms:
    """The unit cell of a polymorph at its density, its protons ordered or at random."""
    from genice2.genice import GenIce
    from genice2.plugin import Format, Lattice, Molecule

    with _seeded():
        ice = GenIce(Lattice(polymorph.lattice), reshape=np.eye(3, dtype=int))
        text = ice.generate_ice(Format("exyz"), water=Molecule("tip3p"))
    return parse(text)


def parse(text: str) -> Atoms:
    """A structure as GenIce writes it: `O x y z` for an atom, `Vector1 x y z` for the cell, A."""
    rows = [line.split() for line in text.splitlines() if LINE.match(line)]
    atoms = [(name, list(map(float, place))) for name, *place in rows if name in ("O", "H")]
    cell = [list(map(float, place)) for name, *place in rows if name.startswith("Vector")]
    return Atoms([name for name, _ in atoms], [place for _, place in atoms], cell=cell, pbc=True)


@contextmanager
def _seeded() -> Iterator[None]:
    """The same protons each time: GenIce draws from the global generators."""
    states = np.random.get_state(), random.getstate()
    np.random.seed(SEED)
    random.seed(SEED)
    try:
        yield
    finally:
        np.random.set_state(states[0])
        random.setstate(states[1])


def water() -> Atoms:
    """A water molecule."""
    return molecule("H2O")
