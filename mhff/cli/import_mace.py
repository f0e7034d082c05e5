"""`mhff import-mace`: a model of mace-torch as a model file of mhff."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def import_mace(
    file: Annotated[
        Path,
        typer.Argument(help="A .model file of mace-torch, read as data; nothing in it is run."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model file to write, .mhff.")],
    head_info: Annotated[
        Path | None,
        typer.Option(
            help="YAML that describes the heads: level of theory, dispersion, domain, licence, "
            "citation."
        ),
    ] = None,
) -> None:
    """Import a mace-torch model: the same numbers; nothing in the file is run."""
    from rich.console import Console

    from mhff.files import check_output
    from mhff.interop.mace.importer import import_model

    check_output(output, [file] if head_info is None else [file, head_info])
    imported = import_model(file, head_info)
    imported.model.save(output)
    console = Console(highlight=False, soft_wrap=True)
    for sentence in imported.report:
        console.print(sentence, markup=False)
    for sentence in imported.warnings:
        console.print(f"warning: {sentence}", style="yellow", markup=False)
    console.print(
        f"wrote {output} ({output.stat().st_size / 1e6:.1f} MB); see it with mhff info {output}",
        markup=False,
    )
