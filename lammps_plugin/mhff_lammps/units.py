"""LAMMPS' unit styles: eV in their unit of energy. Lengths are A in those that mhff takes."""

from __future__ import annotations

from typing import Any

from mhff.errors import MHFFError

MVV2E_OF_METAL = 1.0364269e-4
"""LAMMPS' factor from g/mol (A/ps)^2 to eV in metal units."""
FS2_PER_PS2 = 1e6
UNITS = ("metal", "real")


def energy_unit(lammps: Any) -> float:
    """An eV in LAMMPS' unit of energy.

    From the engine's own factors between mass, velocity and energy, so that the same start gives
    the same trajectory in all units. Raises MHFFError for units of another length.
    """
    units = lammps.extract_global("units")
    if units == "metal":
        return 1.0
    if units == "real":
        return float(lammps.extract_global("mvv2e")) / FS2_PER_PS2 / MVV2E_OF_METAL
    raise MHFFError(
        f"expected 'units metal' (eV, A, bar) or 'units real' (kcal/mol, A, atm), got 'units "
        f"{units}'; change the input and its numbers"
    )
