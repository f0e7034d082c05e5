"""The energy of the MgO(100) surface."""

from __future__ import annotations

from mhff_suite.errors import law
from mhff_suite.outcome import Outcome
from mhff_suite.physics.surfaces import magnesia, surface_energy
from mhff_suite.protocol import Domain, Reference, Setting, Task

EXPECTED = 1.19
"""J/m^2."""
TARGET = 0.15
"""J/m^2."""
LAYERS = 5


def run(setting: Setting) -> Outcome:
    """The error of the surface energy."""
    crystal = magnesia(setting.potential)
    found = surface_energy(setting.potential, crystal, LAYERS)
    return Outcome(
        values=(law("error of the surface energy", abs(found - EXPECTED), "J/m^2", TARGET, ""),),
        notes=(f"Found {found:.2f} J/m^2, expected {EXPECTED}; a = {crystal.a:.3f} A.",),
    )


TASK = Task(
    name="mgo-surface",
    title="Surface energy of MgO(100)",
    domain=Domain.SURFACES,
    reference=Reference(
        "diffusion Monte Carlo",
        "D. Alfe, M. J. Gillan, J. Phys.: Condens. Matter 18, L435 (2006)",
        "facts",
        ("PBE", "RPBE", "PBEsol", "r2SCAN", "SCAN"),
    ),
    computes="Energy of a relaxed slab of five layers against the crystal at the head's volume.",
    run=run,
    cost=2.0,
    needs=("Mg", "O"),
)
