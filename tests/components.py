"""The folders of the repository that hold packages, one for each component."""

FOLDERS = (
    "mhff",
    "deploy",
    "lammps_plugin",
    "openmm_plugin",
    "metatomic_plugin",
    "benchmarks",
    "suite",
)
