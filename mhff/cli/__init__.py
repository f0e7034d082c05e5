"""The `mhff` command: a collection of small commands that the components contribute.

Each is a function in the entry-point group `mhff.commands`. It imports heavy packages when it runs,
so that `--help` is instant.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer

from mhff.errors import MHFFError, printable

USER_ERROR = 2
"""Exit code for a user's mistake."""


def build_app() -> typer.Typer:
    """The command line with every contributed command."""
    app = typer.Typer(
        name="mhff",
        help="One multi-head MACE force field: train it, compile it, run it in LAMMPS, OpenMM and "
        "ASE.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(lambda: None)
    for command in sorted(entry_points(group="mhff.commands"), key=lambda entry: entry.name):
        app.command(command.name)(command.load())
    return app


def main() -> None:
    """Run the command line; a user's mistake is one sentence on stderr and exit code 2."""
    try:
        build_app()(prog_name="mhff")
    except MHFFError as error:
        lines = [printable(line) for line in str(error).splitlines()]  # it may quote a hostile file
        print("mhff:", "\n".join(lines), file=sys.stderr)
        raise SystemExit(USER_ERROR) from None
