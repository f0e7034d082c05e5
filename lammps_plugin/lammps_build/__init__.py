"""The parts of `build_lammps.py`: where LAMMPS comes from, how it is compiled, linked and checked."""
