"""Elastic constants of cubic crystals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.units import GPa

from mhff.errors import listing
from mhff_suite.errors import mean_absolute_error, parity, share
from mhff_suite.outcome import Outcome
from mhff_suite.physics.elasticity import ElasticConstants, elastic_constants
from mhff_suite.protocol import Domain, LeftOutError, Reference, Setting, Task


@dataclass(frozen=True)
class Crystal:
    """A cubic crystal, its lattice constant in A and its elastic constants in GPa."""

    formula: str
    structure: str
    a: float
    expected: ElasticConstants

    @property
    def atoms(self) -> Atoms:
        """The cubic cell."""
        return bulk(self.formula, self.structure, a=self.a, cubic=True)


def _crystal(formula: str, structure: str, a: float, *constants: float) -> Crystal:
    return Crystal(formula, structure, a, ElasticConstants(*constants))


CRYSTALS = (
    _crystal("MgO", "rocksalt", 4.212, 297.9, 95.8, 154.4),
    _crystal("C", "diamond", 3.567, 1079.0, 124.0, 578.0),
    _crystal("Si", "diamond", 5.431, 165.7, 63.9, 79.6),
    _crystal("Al", "fcc", 4.050, 106.75, 60.41, 28.34),
    _crystal("Cu", "fcc", 3.615, 168.3, 121.2, 75.7),
    _crystal("Ni", "fcc", 3.524, 248.1, 154.9, 124.2),
    _crystal("Ag", "fcc", 4.086, 123.99, 93.67, 46.12),
    _crystal("Au", "fcc", 4.078, 192.44, 162.98, 42.0),
    _crystal("Fe", "bcc", 2.867, 226.0, 140.0, 116.0),
    _crystal("Mo", "bcc", 3.147, 463.7, 157.8, 109.2),
    _crystal("Nb", "bcc", 3.301, 246.5, 134.5, 28.73),
    _crystal("Ta", "bcc", 3.303, 260.2, 154.4, 82.55),
    _crystal("W", "bcc", 3.165, 522.39, 204.37, 160.58),
)


def run(setting: Setting) -> Outcome:
    """Relative errors of the constants, and crystals that are not stable."""
    able = [each for each in CRYSTALS if setting.knows(*set(each.atoms.symbols))]
    if not able:
        raise LeftOutError("the head does not know the elements of any crystal")
    able = able[:1] if setting.quick else able
    found = [(each, elastic_constants(setting.potential, each.atoms)) for each in able]
    lost = [each.formula for each, own in found if own is None or not own.is_stable]
    values = [
        share(
            "crystals that do not resist strain",
            lost,
            len(able),
            f"no stable minimum near the experimental volume: {listing(lost)}",
        )
    ]
    names = []
    expected = []
    predicted = []
    for each, own in found:
        for name in ("c11", "c12", "c44") if own is not None else ():
            names.append(f"{each.formula} {name}")
            expected.append(getattr(each.expected, name))
            predicted.append(getattr(own, name) / GPa)
    if not names:
        return Outcome(values=tuple(values))
    relative = 100 * (np.array(predicted) / np.array(expected) - 1)
    values.append(
        mean_absolute_error("elastic constant", "%", np.zeros(len(names)), relative, 10.0)
    )
    drawing = parity("Elastic constants", "GPa", names, expected, predicted)
    return Outcome(values=tuple(values), drawings=(drawing,))


TASK = Task(
    name="elastic",
    title="Elastic constants of cubic crystals",
    domain=Domain.CRYSTALS,
    reference=Reference(
        "experiment, 300 K",
        "Elements: CRC Handbook of Chemistry and Physics, 98th ed.; diamond: H. J. McSkimin, P. "
        "Andreatch, J. Appl. Phys. 43, 2944 (1972); MgO: S. V. Sinogeikin, J. D. Bass, Phys. Rev. "
        "B 59, R14141 (1999)",
        "facts",
        ("PBE", "PBEsol", "r2SCAN", "SCAN"),
    ),
    computes="Change of the stress with strain at the head's own volume, atoms relaxed.",
    run=run,
    cost=3.0,
)
