"""A model that LAMMPS loads as it loads ours, and that only says where it finds itself.

It must not import torch: a probe takes a second.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

ANSWER = "mhff-doctor: "
"""Begins the line with the answer."""
PYTHON = "mhff-doctor-python: "
"""Begins a line with version and environment of the embedded Python, whether mhff is there or not.
"""
FILE = "probe.pickle"
PICKLE = b"cmhff_lammps.doctor.probe\nProbe\n)R."
"""A pickle of `Probe()`, written by hand as the file that LAMMPS loads."""
INPUT = f"""
python mhff_doctor here \"\"\"
def mhff_doctor():
    import sys
    print("{PYTHON}" + sys.version.split()[0] + " in " + sys.prefix, flush=True)
\"\"\"
python mhff_doctor invoke
units metal
atom_modify map yes
region box block -3 3 -3 3 -3 3
create_box 1 box
create_atoms 1 single 0 0 0
mass 1 1.0
pair_style mliap unified {FILE} 0
pair_coeff * * H
run 0
"""


class Probe:
    """A unified model without interactions."""

    element_types = ("H",)
    ndescriptors = 1
    nparams = 1
    rcutfac = 0.5
    interface: Any = None

    def compute_descriptors(self, data: Any) -> None:
        """Do nothing."""

    def compute_gradients(self, data: Any) -> None:
        """Do nothing."""

    def compute_forces(self, data: Any) -> None:
        """Print where LAMMPS runs this."""
        data.energy = 0.0
        print(f"{ANSWER}{json.dumps(surroundings())}", flush=True)


def surroundings() -> dict[str, Any]:
    """Python, environment, and the packages on which mhff depends inside LAMMPS."""
    return {
        "python": platform.python_version(),
        "prefix": sys.prefix,
        "lammps": _version("lammps"),
        "torch": _version("torch"),
        "mpi4py": _version("mpi4py"),
        "shares_mpi": _shares_mpi(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _shares_mpi() -> bool:
    """Whether mpi4py uses the MPI library that LAMMPS has initialised."""
    try:
        mpi4py = import_module("mpi4py")
        mpi4py.rc.initialize = False
        mpi4py.rc.finalize = False
        return bool(import_module("mpi4py.MPI").Is_initialized())
    except (ImportError, RuntimeError):
        return False
