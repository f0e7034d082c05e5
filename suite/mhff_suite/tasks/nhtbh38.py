"""NHTBH38: barriers of heavy-atom transfer, substitution, association."""

from __future__ import annotations

from mhff_suite.data import PSI4
from mhff_suite.non_covalent import PSI4_LICENCE, missing
from mhff_suite.outcome import Outcome
from mhff_suite.protocol import Domain, Setting, Task
from mhff_suite.reactions import outcome, reference
from mhff_suite.references.psi4 import Database


def run(setting: Setting) -> Outcome:
    """Errors of the barriers."""
    folder = setting.data.find(PSI4)
    if folder is None:
        raise missing(PSI4)
    return outcome(setting, "Barriers", Database(folder / "NHTBH.py").reactions())


TASK = Task(
    name="nhtbh38",
    title="NHTBH38: barriers without hydrogen transfer",
    domain=Domain.REACTIONS,
    reference=reference(
        "W1",
        "Y. Zhao, N. Gonzalez-Garcia, D. G. Truhlar, J. Phys. Chem. A 109, 2012 (2005); "
        "Debian's psi4-data",
        PSI4_LICENCE,
    ),
    computes="Forward and backward barriers in the reference's geometries.",
    run=run,
    cost=2.0,
)
