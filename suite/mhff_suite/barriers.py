"""Tasks of barriers from psi4's databases."""

from __future__ import annotations

from mhff_suite.data import PSI4
from mhff_suite.outcome import Outcome
from mhff_suite.protocol import Setting
from mhff_suite.reactions import outcome
from mhff_suite.references.psi4 import Database

COMPUTES = "Forward and backward barriers in the reference's geometries."


def run(setting: Setting, module: str) -> Outcome:
    """Errors of the barriers in a file."""
    database = Database(setting.folder(PSI4) / f"{module}.py")
    return outcome(setting, "Barriers", database.reactions())
