"""`mhff demo`: the bundled model at work. Each component contributes its parts by the entry-point
group `mhff.demos`.
"""

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
    """Run the bundled model in ASE and OpenMM with each head: energies, short MD, a picture. Takes
    about a minute.
    """
    import time
    from importlib.metadata import entry_points

    import torch

    from mhff.files import check_output

    torch.set_num_threads(
        1
    )  # these systems are small: a second thread would only wait for the first
    try:
        from mhff.demo import draw_figure

        parts = [
            entry.load()
            for entry in sorted(entry_points(group="mhff.demos"), key=lambda entry: entry.name)
        ]
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
    for part in parts:
        panels.append(part(out, typer.echo))
        typer.echo("")
    figure = draw_figure(panels, figure_file)
    typer.echo(f"figure: {figure} ({time.monotonic() - start:.0f} s in all)")
