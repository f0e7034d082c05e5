"""What two builds of LAMMPS say of themselves (`lmp -h`), abridged."""

PLAIN = """
Large-scale Atomic/Molecular Massively Parallel Simulator - 4 Jul 2026

MPI v5.0: MPICH Version:      5.0.2
MPICH Release date: Fri Sep 25 20:45:26 UTC 2026

Installed packages:

EXTRA-FIX ML-IAP ML-SNAP
PYTHON

List of individual style options included in this LAMMPS executable

* Pair styles:

buck            dispersion/d3   lj/cut          mliap
"""
KOKKOS = """
Large-scale Atomic/Molecular Massively Parallel Simulator - 22 Jul 2025 - Update 4

MPI v1.0: LAMMPS MPI STUBS for LAMMPS version 22 Jul 2025

KOKKOS package API: CUDA Serial
KOKKOS package precision: double
Kokkos library version: 4.6.99

Installed packages:

KOKKOS MANYBODY

List of individual style options included in this LAMMPS executable

* Pair styles:

dispersion/d34
"""
