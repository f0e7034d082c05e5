"""The check of metatomic for `mhff doctor`."""

from __future__ import annotations

from collections.abc import Iterator

from mhff.doctor.findings import Check, Finding
from mhff.doctor.requirements import requirements

MEND = "pip install 'mhff[metatomic]' in this environment"


def metatomic() -> Iterator[Finding]:
    """metatomic, whose files `mhff compile --target metatomic` makes."""
    for needed in requirements("metatomic"):
        if needed.installed is None:
            found = "not installed; only mhff compile --target metatomic needs it"
            yield Finding("metatomic", True, found)
        elif needed.complaint:
            yield Finding("metatomic", False, needed.complaint, MEND)
        else:
            yield Finding("metatomic", True, f"{needed.name} {needed.installed}")


CHECKS: tuple[Check, ...] = (metatomic,)
