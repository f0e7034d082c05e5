"""The levels of theory: how a structure is calculated.

The programs are imported where they are used.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units

FUNCTIONALS = {"materials": "PBE", "surfaces": "RPBE"}
"""Exchange-correlation functional of the periodic heads."""
MOLECULAR_LEVEL = "wB97M-D3(BJ)/def2-SVP"


def periodic_level(head: str) -> str:
    """Name of a periodic head's level of theory."""
    return f"{FUNCTIONALS[head]}/PAW-PW400"


def periodic_calculator(head: str, maxiter: int = 120, **settings: Any) -> Any:
    """GPAW: PAW, plane waves to 400 eV, Fermi smearing 0.1 eV, spin-paired.

    Energies are relative to the non-spin-polarised reference atoms of the PAW data sets; take the
    free energy.
    """
    from gpaw import GPAW, PW, FermiDirac

    return GPAW(
        mode=PW(400),
        xc=FUNCTIONALS[head],
        occupations=FermiDirac(0.1),
        txt=None,
        maxiter=maxiter,
        convergence={"energy": 5e-5, "density": 1e-4},
        symmetry={"point_group": False},
        **settings,
    )


def molecular_energy(atoms: Atoms, unpaired: int = 0) -> tuple[float, Any]:
    """Total energy, eV, by PySCF with density fitting, and the converged mean field.

    Closed-shell unless electrons are unpaired; raises RuntimeError where the SCF does not converge.
    """
    from pyscf import dft, gto, lib

    lib.num_threads(1)
    geometry = list(zip(atoms.get_chemical_symbols(), atoms.positions, strict=True))
    molecule = gto.M(
        atom=geometry, basis="def2-svp", unit="Ang", spin=unpaired, verbose=0, max_memory=3000
    )
    field = (dft.UKS if unpaired else dft.RKS)(molecule).density_fit()
    field.xc, field.grids.level, field.conv_tol = "wb97m-d3bj", 3, 1e-8
    energy = field.kernel() * units.Ha
    if not field.converged:
        raise RuntimeError("the SCF did not converge")
    return float(energy), field


def molecular_forces(field: Any) -> np.ndarray:
    """Forces in eV/A of a converged mean field, with the response of the grid."""
    gradient = field.nuc_grad_method()
    gradient.grid_response = True
    return np.asarray(-gradient.kernel() * units.Ha / units.Bohr)
