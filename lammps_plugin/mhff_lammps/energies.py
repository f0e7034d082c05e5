"""Energies of every head along a run, atom by atom, in vectors of LAMMPS.

Each evaluation gives the energies of all heads. An input script asks for them with vectors that are
named after heads or mixes, and LAMMPS does the rest:

    fix      heads all property/atom d_mhff_materials d_mhff_surfaces writedata no
    compute  heads all property/atom d_mhff_materials d_mhff_surfaces
    compute  E all reduce sum c_heads[*]     # c_E[1], c_E[2]: for thermo, fix ave/time, fix print
    dump     out all custom 100 heads.dump id type d_mhff_materials d_mhff_surfaces

The vectors belong to the atoms, so LAMMPS sums them over ranks, over groups, and over pair styles
that act on different atoms; nothing here communicates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mhff.capabilities import Capabilities

PREFIX = "d_mhff_"
"""In LAMMPS, `d_` marks a vector of floating-point numbers; `mhff_` is ours."""


def vector_name(head: str) -> str:
    """The name that LAMMPS' commands use for the energies of a head or mix."""
    return PREFIX + head


class HeadEnergies:
    """Writes energies of heads and mixes into the vectors that an input script has made."""

    def __init__(self, program: Capabilities) -> None:
        self._vectors = [(vector_name(head), program.head_row(head)) for head in program.head_names]

    def write(
        self, lammps: Any, atoms: torch.Tensor, node_energies: torch.Tensor, unit: float
    ) -> None:
        """Write `node_energies [n, n_heads]`, eV, of LAMMPS' local atoms `atoms [n]`.

        `unit` is an eV in LAMMPS' unit of energy.

        Atoms that another pair style acts on keep their values. Vectors are looked up at every
        step, because LAMMPS moves them when it needs more memory.
        """
        for name, weights in self._vectors:
            address = lammps.extract_atom(name)
            if address and len(atoms):
                rows = atoms.cpu().numpy()
                vector = np.ctypeslib.as_array(address, (rows.max() + 1,))
                vector[rows] = unit * (node_energies.cpu() @ weights).numpy()
