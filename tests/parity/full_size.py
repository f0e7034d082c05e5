"""A random model of the size of mace-mh-1, as mace-torch writes it, and its numbers for 64 atoms of
MgO.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from ase import Atoms
from ase.build import bulk
from ase.data import chemical_symbols
from cases import MH1
from geometries import to_json
from references import made_by_peer
from structures import MGO_LATTICE

ELEMENTS = tuple(chemical_symbols[1:84] + chemical_symbols[89:95])
"""The 89 elements of the published model."""
HEADS = ("matpes_r2scan", "omat_pbe")
"""Of its six heads, the ones that are compared."""
OPTIONS = MH1 | {
    "elements": ELEMENTS,
    "heads": "6 of mace-mh-1",
    "channels": 512,
    "edge_channels": 128,
    "n_radial": 10,
    "radial_mlp": (64, 64, 64),
    "r_max": 6.0,
}
PARAMETERS = 6_403_014 + 72 * 512 - 480
"""Of the published model with the reduced product basis; 72 more paths of the full one in 512
channels; less the weights of the last readout that join the hidden scalars of one head with the
energy of another, which mace-torch stores and masks.
"""


def magnesia(repeat: int) -> Atoms:
    """MgO, `8 repeat^3` atoms in a cube, displaced by about 0.05 A."""
    atoms = bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True) * (repeat, repeat, repeat)
    atoms.rattle(0.05, seed=1)
    atoms.info = {"charge": 0, "spin": 1}
    return atoms


@lru_cache
def full_size() -> Path:
    """The folder with `mace-mh-1.model` and `<head>.npz`; made now where the cache does not have
    it.
    """
    task = {
        "options": OPTIONS,
        "heads": HEADS,
        "small": [to_json("small", magnesia(1))],
        "structures": [to_json("magnesia", magnesia(2))],
    }
    return made_by_peer("write_full_size.py", json.dumps(task))
