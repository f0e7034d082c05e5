"""mhff in LAMMPS: the file that `pair_style mliap unified FILE 0` loads.

    mhff compile mini --head surfaces --target lammps -o mini.mliap

In an input script, with units metal or real, on any number of MPI ranks, with or without KOKKOS:

    pair_style  mliap unified mini.mliap 0
    pair_coeff  * * Mg O H                               # the head that the file was compiled with
    pair_coeff  * * Mg@surfaces O@surfaces H@molecules   # a head per type; may change between runs
    fix         heads all property/atom d_mhff_surfaces d_mhff_molecules    # both energies

From Python, where models must be loaded first:

    lmp = lammps.lammps()
    mhff_lammps.load_model(lmp, "mini.mliap")            # then: pair_style mliap unified EXISTS 0

LAMMPS loads and calls `model.py`. `adapter.py` does one step between LAMMPS and a compiled program,
on arrays that `coupling.py` reads and writes; `halo.py` gives LAMMPS' atoms their rows in a graph,
and `exchange.py` moves features between ranks, which `ranks.py` keeps together. `labels.py` gives
the labels of `pair_coeff` their meaning, `energies.py` gives LAMMPS the energies of every head,
`checks.py` refuses what would give wrong numbers, and `instance.py` finds the LAMMPS instance
behind the data that LAMMPS hands over. None of them holds physics.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mhff_lammps.driver import load_model

__all__ = ["load_model"]


def __getattr__(name: str) -> Any:
    """Import `load_model` on first use, so that `mhff --help` does not wait for torch."""
    if name not in __all__:
        raise AttributeError(f"module 'mhff_lammps' has no attribute '{name}'")
    return getattr(import_module("mhff_lammps.driver"), name)
