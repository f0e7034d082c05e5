"""`mhff eval`: a model's errors on labelled structures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mhff.evaluate.errors import Comparison


def evaluate(
    model: Annotated[str, typer.Argument(help="Model file, mini, or an artefact.")],
    data: Annotated[str, typer.Argument(help="Labelled structures, extended XYZ.")],
    head: Annotated[
        str | None,
        typer.Option("--head", help="Head for all structures; a beginning of its name is enough."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write parity plots to this PNG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    energy_key: Annotated[
        str, typer.Option(help="Name of the energies in the file.")
    ] = "REF_energy",
    forces_key: Annotated[str, typer.Option(help="Name of the forces in the file.")] = "REF_forces",
    stress_key: Annotated[
        str, typer.Option(help="Name of the stresses in the file; '' ignores them.")
    ] = "REF_stress",
    device: Annotated[str, typer.Option(help="Where to evaluate.")] = "cpu",
    dtype: Annotated[str, typer.Option(help="float32 or float64.")] = "float64",
) -> None:
    """Show mean absolute errors per head and config type, with the numbers behind them."""
    import json

    from rich.console import Console

    from mhff.data.reading import Keys, read_structures
    from mhff.evaluate.errors import group_by_head, group_by_type, grouped
    from mhff.evaluate.evaluation import evaluate_structures
    from mhff.evaluate.table import terminal
    from mhff.files import check_output
    from mhff.modelfile import model_path
    from mhff.opening import open_evaluator
    from mhff.options import CompileOptions

    if plot is not None:
        check_output(plot, [model_path(model), data], "--plot")
    options = CompileOptions.model_validate({"device": device, "precision": dtype})
    evaluator = open_evaluator(model, options)
    taken = None if head is None else evaluator.capabilities.heads.complete(head)
    structures = read_structures(
        data, Keys(energy=energy_key, forces=forces_key, stress=stress_key or None)
    )
    comparisons = evaluate_structures(evaluator, structures, taken)
    by_head = grouped(comparisons, group_by_head)
    by_type = grouped(comparisons, group_by_type)
    if plot is not None:
        _plot(comparisons, plot)
    if as_json:
        content = {
            name: {**errors.as_dict(), "config_types": {}} for (name,), errors in by_head.items()
        }
        for (name, config_type), errors in by_type.items():
            content[name]["config_types"][config_type] = errors.as_dict()
        typer.echo(json.dumps(content, indent=2))
        return
    console = Console()
    if taken is not None:
        console.print(f"head: {taken}")
    console.print(terminal(by_type, ["head", "config type"], "mean absolute errors by config type"))
    console.print(terminal(by_head, ["head"], "mean absolute errors"))
    if plot is not None:
        console.print(f"wrote {plot}")


def _plot(comparisons: Sequence[Comparison], path: Path) -> None:
    from mhff.errors import MHFFError

    try:
        from mhff.evaluate.plot import parity_plot
    except ModuleNotFoundError as error:
        raise MHFFError(
            f"--plot needs {error.name}, which is not installed; get it with pip install "
            "'mhff[train]'"
        ) from error
    parity_plot(comparisons, path)
