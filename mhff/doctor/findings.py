"""Findings about this machine, and the checks with which components contribute them.

Components contribute checks through the entry-point group `mhff.checks`: each entry is a sequence
of functions that return findings. Loading an entry must import nothing heavy; a check that needs a
heavy package asks another process (`mhff.doctor.questions`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from mhff.errors import printable

GROUP = "mhff.checks"
REPORT_IT = "run mhff doctor again; if it happens again, report it with this line"


@dataclass(frozen=True)
class Finding:
    """One fact about this machine."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    """The step that mends it; empty if nothing needs mending."""
    essential: bool = False
    """Whether mhff computes nothing without it."""


Check = Callable[[], Iterable[Finding]]
"""A function that examines one thing; its name appears in the report if it crashes."""


def examine() -> list[Finding]:
    """Findings of all installed components; a check that crashes is a finding, too."""
    entries = sorted(entry_points(group=GROUP), key=lambda entry: entry.name)
    return [finding for entry in entries for finding in _of_component(entry)]


def _of_component(entry: EntryPoint) -> list[Finding]:
    try:
        checks: Sequence[Check] = entry.load()
    except Exception as error:  # anything may be wrong with an installation
        return [_crashed(entry.name, error)]
    return [finding for check in checks for finding in findings_of(check)]


def findings_of(check: Check) -> Iterator[Finding]:
    """Findings of one check, and a further one if it crashes."""
    try:
        yield from check()
    except Exception as error:  # the other checks must still report
        yield _crashed(check.__name__, error)


def _crashed(name: str, error: Exception) -> Finding:
    reason = printable(" ".join(str(error).split()))
    return Finding(name, False, f"this check failed ({type(error).__name__}: {reason})", REPORT_IT)


def something_essential_is_broken(findings: Iterable[Finding]) -> bool:
    """Whether mhff cannot compute anything on this machine."""
    return any(finding.essential and not finding.ok for finding in findings)
