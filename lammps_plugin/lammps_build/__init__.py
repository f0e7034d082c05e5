"""The parts of `build_lammps.py`: how LAMMPS is fetched, compiled, linked and checked."""
