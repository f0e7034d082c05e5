"""DBH24: 24 diverse barriers, which ASE ships."""

from __future__ import annotations

from ase import Atoms
from ase.data import dbh24

from mhff_suite.barriers import COMPUTES
from mhff_suite.outcome import Outcome
from mhff_suite.protocol import Domain, Setting, Task
from mhff_suite.reactions import Reaction, outcome, reference


def reactions() -> list[Reaction]:
    """Forward and backward barriers."""
    found = []
    for number, name in enumerate(dbh24.dbh24_reaction_list, start=1):
        barrier = dbh24.get_dbh24_tst(name)
        top = molecule(barrier)
        ends = {
            "forward": (dbh24.get_dbh24_initial_states(name), dbh24.get_dbh24_Vf(barrier)),
            "backward": (dbh24.get_dbh24_final_states(name), dbh24.get_dbh24_Vb(barrier)),
        }
        for direction, (species, height) in ends.items():
            found.append(
                Reaction(
                    f"{number} {direction}",
                    (*map(molecule, species), top),
                    (*[-1] * len(species), 1),
                    height,
                )
            )
    return found


def molecule(name: str) -> Atoms:
    """A species with its charge and multiplicity."""
    moments = dbh24.get_dbh24_magmoms(name)
    atoms = dbh24.create_dbh24_system(name, magmoms=None)
    atoms.info["charge"] = int(dbh24.get_dbh24_charge(name) or 0)
    atoms.info["spin"] = 1 + round(abs(sum(moments))) if moments else 1
    return atoms


def run(setting: Setting) -> Outcome:
    """Errors of the barriers."""
    return outcome(setting, "Barriers", reactions())


TASK = Task(
    name="dbh24",
    title="DBH24: diverse barriers",
    domain=Domain.REACTIONS,
    reference=reference(
        "W4 and similar",
        "J. Zheng, Y. Zhao, D. G. Truhlar, J. Chem. Theory Comput. 5, 808 (2009); shipped with ASE",
        "LGPL-2.1 (ASE)",
    ),
    computes=COMPUTES,
    run=run,
    cost=1.0,
)
