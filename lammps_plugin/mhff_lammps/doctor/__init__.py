"""What `mhff doctor` says about LAMMPS.

`executables.py` finds the programs `lmp` and reads what they say of themselves, `probe.py` is the
model with which each of them shows that it can load ours, and `findings.py` judges the answers.
"""
