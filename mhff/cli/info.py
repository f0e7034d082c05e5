"""`mhff info`: what a model file is."""

from __future__ import annotations

from typing import Annotated

import typer


def info(
    model: Annotated[str, typer.Argument(help="Model file, or mini.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show heads, levels of theory, elements, cutoff, size and provenance of a model."""
    import json

    from rich.console import Console

    from mhff.describe import describe, render

    summary = describe(model)
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
    else:
        Console().print(render(summary))
