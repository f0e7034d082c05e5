"""`mhff doctor`: what this machine can run, and how to mend what it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table
    from rich.text import Text

    from mhff.doctor.findings import Finding

BROKEN = 1
"""Exit code if mhff cannot compute anything on this machine."""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list.")] = False,
) -> None:
    """Show what this machine can run (torch, GPU, LAMMPS, OpenMM), and how to mend the rest.

    The exit code is 1 if something is broken without which mhff computes nothing, else 0.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from mhff.doctor.findings import examine, something_essential_is_broken

    with Console(stderr=True).status("asking the programs on this machine"):
        findings = examine()
    broken = something_essential_is_broken(findings)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        Console().print(_table(findings))
        typer.echo(_summary(findings, broken))
    if broken:
        raise typer.Exit(BROKEN)


def _table(findings: Sequence[Finding]) -> Table:
    """A row per finding, and under it the step that mends it."""
    from rich.table import Table
    from rich.text import Text

    from mhff.errors import printable

    table = Table.grid(padding=(0, 2))
    for finding in findings:
        table.add_row(
            _mark(finding), Text(finding.name), Text(printable(finding.found), overflow="fold")
        )
        if finding.mend:
            table.add_row("", "", Text(f"-> {printable(finding.mend)}", overflow="fold"))
    return table


def _mark(finding: Finding) -> Text:
    from rich.text import Text

    if finding.ok:
        return Text("ok", style="green")
    if finding.essential:
        return Text("broken", style="bold red")
    return Text("lacking", style="yellow")


def _summary(findings: Sequence[Finding], broken: bool) -> str:
    if broken:
        return "\nmhff cannot run here: mend what is broken"
    if all(finding.ok for finding in findings):
        return "\nmhff can run here"
    return "\nmhff can run here, except with what is lacking"
