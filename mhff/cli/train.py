"""`mhff train`: a model from a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def train(
    config: Annotated[str, typer.Argument(help="Training configuration, YAML.")],
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", help="Start again and ignore the checkpoint in the run's folder."
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the plan: data, E0s, statistics, weights, memory, time. Train nothing.",
        ),
    ] = False,
) -> None:
    """Train a model with one or several heads; the same command continues an interrupted run."""
    from rich.console import Console

    from mhff.errors import MHFFError
    from mhff.evaluate.table import error_table

    try:
        from mhff.train.run import Run
    except ModuleNotFoundError as error:
        raise MHFFError(
            f"`mhff train` needs {error.name}, which is not installed; get it with pip install "
            "'mhff[train]'"
        ) from error
    from mhff.train.plan import plan
    from mhff.train.processes import launched_rank
    from mhff.train.settings import read_settings

    is_main = launched_rank() == 0
    console = Console(quiet=not is_main)
    run = Run(read_settings(config))
    run.check_outputs([Path(config)])
    if dry_run:
        lines = [] if restart else run.continuation()
        for line in (*lines, run.use_kernels(), *plan(run)):
            console.print(line, soft_wrap=True, highlight=False, markup=False)
        return
    run.train(console, restart)
    if not is_main:
        return
    report = run.report()
    for part, rows in report.by_head.items():
        error_table(rows, ["head"]).brief().show(console, f"errors, {part}")
    if report.before:
        report.forgetting().brief().show(console, "heads of the start model, before and after")
    console.print(
        f"wrote {run.model_file}, report.html, report.json and report.csv beside it",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
