"""Where units cross: eV and A inside, OpenMM's kJ/mol and nm outside, from OpenMM's own constants."""

from openmm import unit

KJ_PER_MOL_PER_EV = (
    1.0 * unit.AVOGADRO_CONSTANT_NA * unit.elementary_charge * unit.volt
).value_in_unit(unit.kilojoule_per_mole)
"""Energy: kJ/mol in one eV per particle."""
ANGSTROM_PER_NM = (1.0 * unit.nanometer).value_in_unit(unit.angstrom)
"""Length: A in one nm."""
