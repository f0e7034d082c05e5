"""`mhff lammps-input`: a folder that LAMMPS runs, from a structure and a model.

`box.py` turns a structure into LAMMPS' orientation, `content.py` says what its atoms are, `text.py`
writes the data file and the script, `model.py` provides the file of the model, and `command.py` is
the command line.
"""
