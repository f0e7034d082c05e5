"""`mhff eval`: a model's errors on labelled structures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mhff.errors import MHFFError, located

if TYPE_CHECKING:
    from mhff.data.reading import LabelledStructure
    from mhff.evaluate.errors import Comparison


def _key(label: str, default: str) -> Any:
    return typer.Option(
        f"--{label}-key",
        help=f"Name of the {label} in the file; '' for none.  [default: {default}]",
    )


HeadOption = Annotated[
    str | None,
    typer.Option("--head", help="Head for all structures; a beginning of its name is enough."),
]
EnergyKey = Annotated[
    str | None,
    typer.Option(
        "--energy-key",
        help="Name of the energies in the file; the names of forces, stress and virials follow it "
        "(dft_energy, dft_forces, ...).  [default: REF_energy, else ASE's energy]",
    ),
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--dtype",
        help="float32 or float64.  [default: float64 for a model, a program's own precision]",
    ),
]


def evaluate(
    model: Annotated[str, typer.Argument(help="Model file, mini, or a compiled program.")],
    data: Annotated[
        str, typer.Argument(help="Labelled structures: extended XYZ or ASE's formats.")
    ],
    head: HeadOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write parity plots to this PNG.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    energy_key: EnergyKey = None,
    forces_key: Annotated[str | None, _key("forces", "REF_forces or forces")] = None,
    stress_key: Annotated[str | None, _key("stress", "REF_stress or stress")] = None,
    virials_key: Annotated[str | None, _key("virials", "REF_virials or virials")] = None,
    charge_key: Annotated[str | None, _key("charge", "charge or total_charge")] = None,
    spin_key: Annotated[str | None, _key("spin", "spin or total_spin")] = None,
    device: Annotated[str, typer.Option(help="Device: cpu or cuda.")] = "cpu",
    dtype: PrecisionOption = None,
) -> None:
    """Show mean absolute errors per head and config type, with the number of values in each."""
    from mhff.data.notes import unused_state
    from mhff.evaluate.evaluation import evaluate_structures
    from mhff.files import check_output
    from mhff.modelfile import model_path
    from mhff.opening import open_evaluator
    from mhff.options import CompileOptions

    if plot is not None:
        check_output(plot, [model_path(model), data], "--plot")
    options = CompileOptions.model_validate({"device": device, "precision": dtype})
    evaluator = open_evaluator(model, options)
    can = evaluator.capabilities
    taken = None if head is None else can.heads.complete(head)
    given = {
        "energy": energy_key,
        "forces": forces_key,
        "stress": stress_key,
        "virials": virials_key,
        "charge": charge_key,
        "spin": spin_key,
    }
    structures = _read(
        data, {label: name or None for label, name in given.items() if name is not None}
    )
    for note in unused_state(structures, can.state_embeddings):
        typer.echo(f"note: {note}", err=True)
    comparisons = evaluate_structures(evaluator, structures, taken)
    if plot is not None:
        _plot(comparisons, plot)
    if as_json:
        typer.echo(json.dumps(_as_json(comparisons), indent=2))
        return
    _print(comparisons, taken)
    if plot is not None:
        typer.echo(f"wrote {plot}")


def _read(data: str, given: Mapping[str, str | None]) -> list[LabelledStructure]:
    """Read the structures of a file, and say which of its labels are not used.

    Labels have the given names, or else those that files usually have.
    """
    from mhff.data.keys import KeySetting, guess_keys
    from mhff.data.labels import all_labels
    from mhff.data.notes import unread_labels
    from mhff.data.reading import check_found, label_frames, read_frames, refuse_not_finite

    setting = KeySetting("--{}-key", "''")
    frames = read_frames(data)
    keys = guess_keys({name for frame in frames for name in all_labels(frame)}, given)
    structures = label_frames(frames, keys, setting, data)
    refuse_not_finite(structures, "leave them out")
    labelled = [item for item in structures if item.is_labelled or item.is_isolated_atom]
    with located(f"'{data}'"):
        check_found(structures, sorted(given if labelled else {"energy", *given}), keys, setting)
    notes = unread_labels(structures, setting)
    if keys.energy == "energy" and "energy" not in given:
        notes.append("no REF_energy in the file; labels are ASE's energy, forces, ...")
    if len(labelled) < len(structures):
        notes.append(f"{len(structures) - len(labelled)} structures without any label are left out")
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    return labelled


def _as_json(comparisons: Sequence[Comparison]) -> dict[str, Any]:
    from mhff.evaluate.errors import group_by_head, group_by_type, grouped

    content = {
        name: {**errors.as_dict(), "config_types": {}}
        for (name,), errors in grouped(comparisons, group_by_head).items()
    }
    for (name, config_type), errors in grouped(comparisons, group_by_type).items():
        content[name]["config_types"][config_type] = errors.as_dict()
    return content


def _print(comparisons: Sequence[Comparison], head: str | None) -> None:
    from rich.console import Console

    from mhff.evaluate.errors import group_by_head, group_by_type, grouped
    from mhff.evaluate.table import terminal

    by_head = grouped(comparisons, group_by_head)
    by_type = grouped(comparisons, group_by_type)
    console = Console()
    if head is not None:
        console.print(f"head: {head}", markup=False)
    console.print(terminal(by_type, ["head", "config type"], "mean absolute errors by config type"))
    console.print(terminal(by_head, ["head"], "mean absolute errors"))


def _plot(comparisons: Sequence[Comparison], path: Path) -> None:
    try:
        from mhff.evaluate.plot import parity_plot
    except ModuleNotFoundError as error:
        raise MHFFError(
            f"--plot needs {error.name}, which is not installed; get it with pip install "
            "'mhff[train]'"
        ) from error
    parity_plot(comparisons, path)
