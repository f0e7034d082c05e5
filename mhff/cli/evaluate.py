"""`mhff eval`: a model's errors on labelled structures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mhff.errors import MHFFError, listing, located

if TYPE_CHECKING:
    from mhff.data.reading import LabelledStructure
    from mhff.evaluate.errors import Comparison, Tally


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
        list[Path],
        typer.Argument(help="Labelled structures: files, folders and patterns; any ASE format."),
    ],
    head: HeadOption = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Write parity plots: PNG, SVG or PDF.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--csv", help="Write the errors per head and type as CSV.")
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
    """Show errors (MAE, RMSE) per head and config type, with the number of values in each."""
    from mhff.cli.progress import progress
    from mhff.data.notes import unused_state
    from mhff.data.sources import find_files
    from mhff.evaluate.errors import Tally
    from mhff.evaluate.evaluation import comparisons_of
    from mhff.modelfile import model_path
    from mhff.opening import open_evaluator
    from mhff.options import CompileOptions

    files = find_files(data)
    outputs = {"--plot": plot, "--csv": table}
    _check_outputs(outputs, [model_path(model), *files])
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
        files, {label: name or None for label, name in given.items() if name is not None}
    )
    for note in unused_state(structures, can.state_embeddings):
        typer.echo(f"note: {note}", err=True)
    tally = Tally()
    drawn = []  # a plot shows every structure
    found = comparisons_of(evaluator, structures, taken)
    with progress(
        sum(not each.is_isolated_atom for each in structures), 0, "structures"
    ) as advance:
        for comparison in found:
            tally.add(comparison)
            if plot is not None:
                drawn.append(comparison)
            advance(1)
    if plot is not None:
        _plot(drawn, plot)
    if table is not None:
        _write_csv(tally, table)
    if as_json:
        typer.echo(json.dumps(tally.as_dict(), indent=2))
        return
    _print(tally, taken)
    for path in filter(None, outputs.values()):
        typer.echo(f"wrote {path}")


def _check_outputs(outputs: Mapping[str, Path | None], inputs: Sequence[str | Path]) -> None:
    """Raise MHFFError for a file that cannot be written, and for one name given twice."""
    from mhff.files import check_output

    given = {option: path for option, path in outputs.items() if path is not None}
    if len(set(given.values())) < len(given):
        raise MHFFError(f"{' and '.join(given)} name the same file; choose another for one of them")
    for option, path in given.items():
        check_output(path, inputs, option)


def _read(files: Sequence[Path], given: Mapping[str, str | None]) -> list[LabelledStructure]:
    """The structures of the files; says which of their labels are not used.

    Labels have the given names, or else those that files usually have. Large files are read again
    for each structure when it is computed.
    """
    from mhff.data.keys import KeySetting, guess_keys
    from mhff.data.notes import unread_labels
    from mhff.data.reading import check_found, refuse_not_finite
    from mhff.data.surveyed import LabelledFile

    setting = KeySetting("--{}-key", "''")
    structures: list[LabelledStructure] = []
    plain: list[Path] = []
    for path in files:
        file = LabelledFile(path)
        keys = guess_keys(file.names(), given)
        structures += file.labelled(keys, setting)
        if keys.energy == "energy" and "energy" not in given:
            plain.append(path)
    refuse_not_finite(structures, "leave them out")
    labelled = [item for item in structures if item.is_labelled or item.is_isolated_atom]
    with located(listing(f"'{path}'" for path in files)):
        check_found(structures, sorted(given if labelled else {"energy", *given}), keys, setting)
    notes = unread_labels(structures, setting)
    if plain:
        others = f" and {len(plain) - 1} more files" if len(plain) > 1 else ""
        notes.append(f"no REF_energy in '{plain[0]}'{others}; labels are ASE's energy, forces, ...")
    if len(labelled) < len(structures):
        notes.append(f"{len(structures) - len(labelled)} structures without any label are left out")
    for note in notes:
        typer.echo(f"note: {note}", err=True)
    return labelled


def _write_csv(tally: Tally, path: Path) -> None:
    from mhff.evaluate.table import error_table
    from mhff.files import write_atomically

    write_atomically(path, error_table(tally.by_type, ["head", "config type"]).csv().encode())


def _print(tally: Tally, head: str | None) -> None:
    from rich.console import Console

    from mhff.evaluate.table import error_table

    console = Console()
    if head is not None:
        console.print(f"head: {head}", markup=False)
    by_type = error_table(tally.by_type, ["head", "config type"])
    by_type.brief().show(console, "errors by config type")
    error_table(tally.by_head, ["head"]).brief().show(console, "errors")


def _plot(comparisons: Sequence[Comparison], path: Path) -> None:
    try:
        from mhff.evaluate.plot import parity_plot
    except ModuleNotFoundError as error:
        raise MHFFError(
            f"--plot needs {error.name}, which is not installed; get it with pip install "
            "'mhff[train]'"
        ) from error
    parity_plot(comparisons, path)
