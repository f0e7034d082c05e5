"""`mhff info`: a description of a model or an artefact."""

from __future__ import annotations

from typing import Annotated

import typer


def info(
    model: Annotated[str, typer.Argument(help="Model file, mini, or a file of mhff compile.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show heads, levels of theory, elements, cutoff, size and provenance of a model or a program.

    Nothing in the file is run.
    """
    import json

    from rich.console import Console

    from mhff.describe import describe_file

    described = describe_file(model)
    if as_json:
        typer.echo(json.dumps(described.summary, indent=2))
    else:
        Console().print(described.shown)
