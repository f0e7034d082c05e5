"""`mhff bench`: time and memory per step against system size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mhff.errors import MHFFError
from mhff_bench.peers import DEFAULT_PYTHON, PEERS
from mhff_bench.systems import SYSTEMS


def bench(
    model: Annotated[str, typer.Argument(help="Model file, mini, or an artefact.")],
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Engine, by default python, which evaluates a ready neighbour list; an unknown "
            "name lists the installed ones; repeatable."
        ),
    ] = None,
    form: Annotated[
        list[str] | None, typer.Option(help="Form of the program, by default aoti; repeatable.")
    ] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(help="float32 (default) or float64; repeatable.")
    ] = None,
    system: Annotated[str, typer.Option(help=f"One of {', '.join(SYSTEMS)}.")] = next(
        iter(SYSTEMS)
    ),
    sizes: Annotated[str | None, typer.Option(help="Numbers of atoms, as 8,64,216.")] = None,
    head: Annotated[
        str | None, typer.Option(help="Head; the beginning of its name is enough.")
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(help="Threads of every contender, by default 1; repeatable.")
    ] = None,
    rounds: Annotated[int, typer.Option(help="Number of turns of each contender.")] = 7,
    against: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(PEERS)}; repeatable.")
    ] = None,
    peer_python: Annotated[
        Path | None, typer.Option(help=f"Python that has the peers, by default {DEFAULT_PYTHON}.")
    ] = None,
    peer_model: Annotated[
        Path | None,
        typer.Option(help="The .model file of mace-torch that MODEL was imported from."),
    ] = None,
    memory: Annotated[
        bool, typer.Option(help="Measure the peak memory of each point, in a process of its own.")
    ] = True,
    max_seconds: Annotated[
        float, typer.Option(help="Skip a contender at sizes at which a step takes longer, s.")
    ] = 30.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a figure to this PNG.")] = None,
) -> None:
    """Measure time and memory per step against system size.

    Engines, forms, precisions and peers take turns.
    """
    import json

    from rich.console import Console

    from mhff.files import check_output
    from mhff_bench.benchmark import Plan
    from mhff_bench.benchmark import bench as run
    from mhff_bench.contenders import Choice
    from mhff_bench.report_table import terminal

    choice = Choice(
        model=model,
        engines=tuple(engine or ["python"]),
        forms=tuple(form or []),
        dtypes=tuple(dtype or []),
        head=_head(model, head),
        threads=tuple(threads or [1]),
        against=tuple(against or []),
        peer_python=peer_python,
        peer_model=peer_model,
    )
    plan = Plan(choice, system, _sizes(sizes), rounds, max_seconds=max_seconds, memory=memory)
    if plot is not None:
        check_output(plot, [model, peer_model] if peer_model else [model], "--plot")
        _check_plotting()
    notes = Console(stderr=True, highlight=False)
    with notes.status("") as status:
        report = run(plan, lambda sentence: status.update(sentence)).as_dict()
    if plot is not None:
        _plot(report, plot)
    if as_json:
        typer.echo(json.dumps(report, indent=1))
        return
    console = Console()
    console.print(terminal(report))
    if plot is not None:
        console.print(f"wrote {plot}")


def _head(model: str, beginning: str | None) -> str | None:
    """The full name of the head; the default or first one if none is given: all cost the same."""
    from mhff.opening import read_capabilities

    described = read_capabilities(model)
    return (
        described.heads.complete(beginning)
        if beginning is not None
        else described.default_head or described.heads.names[0]
    )


def _sizes(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise MHFFError(
            f"expected numbers of atoms separated by commas, as --sizes 8,64,216, got '{text}'"
        ) from error


def _check_plotting() -> None:
    """Raise MHFFError, before anything is measured, if figures cannot be drawn."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise MHFFError(
            "--plot needs matplotlib, which is not installed; get it with pip install 'mhff[train]'"
        )


def _plot(report: dict[str, Any], path: Path) -> None:
    from mhff_bench.plot import scaling_plot

    scaling_plot(report, path)
