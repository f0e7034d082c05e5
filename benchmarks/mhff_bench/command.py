"""`mhff bench`: time and memory per step against system size."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from mhff.errors import MHFFError
from mhff_bench.peers import DEFAULT_PYTHON, PEERS
from mhff_bench.systems import SYSTEMS

if TYPE_CHECKING:
    from mhff_bench.benchmark import Plan
    from mhff_bench.contenders import Choice


@dataclass(frozen=True)
class Options:
    """The command line: each field is an argument or an option."""

    model: Annotated[str, typer.Argument(help="Model file, mini, or an artefact.")]
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Engine, by default python, which evaluates a ready neighbour list; an unknown "
            "name lists the installed ones; repeatable."
        ),
    ] = None
    form: Annotated[
        list[str] | None, typer.Option(help="Form of the program, by default aoti; repeatable.")
    ] = None
    dtype: Annotated[
        list[str] | None, typer.Option(help="float32 (default) or float64; repeatable.")
    ] = None
    system: Annotated[str, typer.Option(help=f"One of {', '.join(SYSTEMS)}.")] = next(iter(SYSTEMS))
    sizes: Annotated[str | None, typer.Option(help="Numbers of atoms, e.g. 8,64,216.")] = None
    head: Annotated[str | None, typer.Option(help="Head; the beginning of its name is enough.")] = (
        None
    )
    threads: Annotated[
        list[int] | None, typer.Option(help="Threads of every contender, by default 1; repeatable.")
    ] = None
    device: Annotated[str, typer.Option(help="Device of every contender: cpu or cuda.")] = "cpu"
    rounds: Annotated[int, typer.Option(help="Number of turns of each contender.")] = 7
    against: Annotated[
        list[str] | None, typer.Option(help=f"One of {', '.join(PEERS)}; repeatable.")
    ] = None
    peer_python: Annotated[
        Path | None, typer.Option(help=f"Python that has the peers, by default {DEFAULT_PYTHON}.")
    ] = None
    peer_model: Annotated[
        Path | None,
        typer.Option(help="The .model file of mace-torch that MODEL was imported from."),
    ] = None
    memory: Annotated[
        bool,
        typer.Option(help="On a CPU, measure peak memory too, in a process for each point."),
    ] = True
    max_seconds: Annotated[
        float, typer.Option(help="Skip a contender at sizes at which a step takes longer, s.")
    ] = 30.0
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False
    plot: Annotated[Path | None, typer.Option("--plot", help="Write a figure to this PNG.")] = None

    def choice(self) -> Choice:
        """The contenders that are requested."""
        from mhff_bench.contenders import Choice

        return Choice(
            model=self.model,
            engines=tuple(self.engine or ["python"]),
            forms=tuple(self.form or []),
            dtypes=tuple(self.dtype or []),
            head=_head(self.model, self.head),
            threads=tuple(self.threads or [1]),
            device=self.device,
            against=tuple(self.against or []),
            peer_python=self.peer_python,
            peer_model=self.peer_model,
        )

    def plan(self) -> Plan:
        """The sizes to measure, and how often."""
        from mhff_bench.benchmark import Plan

        return Plan(
            self.choice(),
            self.system,
            _sizes(self.sizes),
            self.rounds,
            max_seconds=self.max_seconds,
            memory=self.memory and self.device == "cpu",
        )


def bench(**given: Any) -> None:
    """Measure time and memory per step against system size.

    Engines, forms, precisions and peers take turns.
    """
    import json

    from rich.console import Console

    from mhff_bench.benchmark import bench as run
    from mhff_bench.report_table import terminal

    options = Options(**given)
    plan = options.plan()
    if options.plot is not None:
        _check_plotting()
    notes = Console(stderr=True, highlight=False)
    with notes.status("") as status:
        report = run(plan, lambda sentence: status.update(sentence)).as_dict()
    if options.plot is not None:
        _plot(report, options.plot)
    if options.as_json:
        typer.echo(json.dumps(report, indent=1))
        return
    console = Console()
    console.print(terminal(report))
    if options.plot is not None:
        console.print(f"wrote {options.plot}")


def _signature(record: type) -> inspect.Signature:
    """The fields of a record as parameters, from which typer makes the command line."""
    kinds = get_type_hints(record, include_extras=True)
    return inspect.Signature(
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if field.default is MISSING else field.default,
                annotation=kinds[field.name],
            )
            for field in fields(record)
        ]
    )


bench.__signature__ = _signature(Options)  # type: ignore[attr-defined]


def _head(model: str, beginning: str | None) -> str | None:
    """The full name of the head; the default or first one if none is given: all cost the same."""
    from mhff.opening import read_capabilities

    described = read_capabilities(model)
    if beginning is not None:
        return described.complete(beginning)
    return described.default_head or described.heads.names[0]


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
