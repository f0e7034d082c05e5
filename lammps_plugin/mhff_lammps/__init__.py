"""mhff in LAMMPS: the file that `pair_style mliap unified FILE 0` loads.

    mhff compile mini --head surfaces --target lammps -o mini.mliap

In an input script, with units metal and on one rank:

    pair_style  mliap unified mini.mliap 0
    pair_coeff  * * Mg O H                                  # the head that was chosen when the file was compiled
    pair_coeff  * * Mg@surfaces O@surfaces H@molecules      # a head per atom type; may be re-issued between runs

From Python, where LAMMPS wants to be told of Python models first:

    lmp = lammps.lammps()
    mhff_lammps.load_model(lmp, "mini.mliap")               # then: pair_style mliap unified EXISTS 0

`model.py` is what LAMMPS loads and calls, `adapter.py` translates between LAMMPS and a compiled
program, `instance.py` finds the LAMMPS instance behind the data it hands over. None of them holds
physics.
"""

from mhff_lammps.driver import load_model

__all__ = ["load_model"]
