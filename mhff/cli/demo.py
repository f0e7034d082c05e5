"""`mhff demo`: the bundled model at work, in ASE and in every engine that has a demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mhff.errors import MHFFError


def demo(
    out: Annotated[Path, typer.Option(help="Folder for trajectories and the figure.")] = Path(
        "demo-output"
    ),
) -> None:
    """Run the bundled model in ASE and OpenMM with each head: energies, short MD, a picture."""
    import time

    import torch

    from mhff.files import check_output

    # these systems are small: a second thread would only wait for the first
    torch.set_num_threads(1)
    try:
        from mhff.demo import PARTS, draw_figure
        from mhff.engines import engines
    except ImportError as error:
        raise MHFFError(
            f"mhff demo needs {error.name}, which is not installed; pip install 'mhff[demo]'"
        ) from error
    start = time.monotonic()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MHFFError(
            f"cannot make the folder '{out}' ({error.strerror}); choose another with --out"
        ) from error
    figure_file = out / "demo.png"
    check_output(figure_file, option="--out")
    panels = []
    for part in [*PARTS, *(engine.demo for engine in engines().values() if engine.demo)]:
        panels.append(part(out, typer.echo))
        typer.echo("")
    figure = draw_figure(panels, figure_file)
    typer.echo(f"figure: {figure} ({time.monotonic() - start:.0f} s in all)")
