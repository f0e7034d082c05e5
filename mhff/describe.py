"""Descriptions of models, for people (`render`) and for programs (`describe`, a JSON object).

This is the content of `mhff info`. Components describe their own kinds of files
(`mhff.filekinds.FileKind.describe`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mhff.errors import listing, printable
from mhff.evaluator import ModelSource
from mhff.filekinds import Description, SourceFile, kind_of, read_source
from mhff.heads import E0sKind
from mhff.modelfile import UNITS, Model, from_bytes
from mhff.tensorfile import FORMAT_VERSION

UNKNOWN = "unknown"
E0S_WORDS = {
    E0sKind.ISOLATED: "isolated atoms",
    E0sKind.GIVEN: "given",
    E0sKind.LEAST_SQUARES: "least squares",
    E0sKind.REESTIMATED: "re-estimated",
    E0sKind.UNKNOWN: UNKNOWN,
}
"""Origin of a head's E0s, in words."""
DISPERSION_WORDS = {True: "included", False: "not included", None: UNKNOWN}
"""Whether a head's training energies contain dispersion, in words."""


def describe_file(source: ModelSource) -> Description:
    """Description of a model file, a bundled model or a compiled file; nothing in it is run.

    Raises MHFFError for a file that is damaged or of no known kind.
    """
    if isinstance(source, Model):
        return _shown(describe(source))
    file = read_source(source)
    return _shown(_describe_file(file)) if file.is_model else kind_of(file).describe(file)


def _shown(summary: dict[str, Any]) -> Description:
    return Description(summary, render(summary))


def describe(source: ModelSource) -> dict[str, Any]:
    """Summary of a model, of a `.mhff` file or of a bundled model by its name, as a JSON object.

    Lengths in A, energies (E0s) in eV; `file` and `bytes` are None for a model in memory.
    Raises MHFFError for a file that is not a whole model file.
    """
    if isinstance(source, Model):
        return _describe_model(source) | {"file": None, "bytes": None}
    return _describe_file(read_source(source))


def _describe_file(file: SourceFile) -> dict[str, Any]:
    about_file = {"file": file.name, "bytes": len(file.content)}
    return _describe_model(from_bytes(file.content, file.name)) | about_file


def _describe_model(model: Model) -> dict[str, Any]:
    config = model.network.config
    E0s = model.network.reference_energies.E0s.tolist()
    named = {"elements", "heads", "r_max"}
    return {
        "kind": "model",
        "format_version": FORMAT_VERSION,
        "n_parameters": sum(parameter.numel() for parameter in model.network.parameters()),
        "dtype": str(model.network.dtype).removeprefix("torch."),
        "elements": list(model.elements),
        "r_max": model.r_max,
        "heads": [
            head.model_dump(mode="json") | {"E0s": dict(zip(model.elements, energies, strict=True))}
            for head, energies in zip(model.heads, E0s, strict=True)
        ],
        "architecture": {
            name: value
            for name, value in config.model_dump(mode="json").items()
            if name not in named
        },
        "jumps_at_cutoff": config.jumps_at_cutoff,
        "units": dict(UNITS),
        "provenance": model.provenance,
    }


def render(summary: Mapping[str, Any]) -> RenderableType:
    """A summary of `describe` as tables for a terminal."""
    return Group(
        _facts(summary),
        Text("\nHeads", style="bold"),
        head_table(summary["heads"]),
        Text("\nEnergies of isolated atoms (E0s), eV", style="bold"),
        _energy_table(summary["heads"], summary["elements"]),
        Text("\nArchitecture", style="bold"),
        pairs(summary["architecture"]),
        Text("\nProvenance", style="bold"),
        pairs(summary["provenance"]) if summary["provenance"] else Text("  not recorded"),
    )


def _facts(summary: Mapping[str, Any]) -> Table:
    architecture = summary["architecture"]
    facts = {
        "elements": listing(summary["elements"]),
        "cutoff": f"{summary['r_max']:g} A, {architecture['n_layers']} layers",
        "parameters": f"{summary['n_parameters']:,} in {summary['dtype']}",
        "units": ", ".join(f"{quantity} {unit}" for quantity, unit in summary["units"].items()),
        "format": f"version {summary['format_version']}",
    }
    if architecture["state_embeddings"]:
        facts["also takes"] = listing(
            state_words(embedding) for embedding in architecture["state_embeddings"]
        )
    if summary["jumps_at_cutoff"]:
        facts["warning"] = (
            "its energy jumps where an atom crosses the cutoff; do not run dynamics with it"
        )
    if summary["file"] is not None:
        facts = {"file": f"{summary['file']} ({summary['bytes'] / 1e6:.2f} MB)"} | facts
    return pairs(facts)


def state_words(embedding: Mapping[str, Any]) -> str:
    """A charge or multiplicity that a model takes, in words."""
    name = {
        "total_charge": "a total charge (default 0)",
        "total_spin": "a spin multiplicity 2S+1 (default 1)",
    }
    if embedding["kind"] == "continuous":
        return name[embedding["quantity"]]
    lowest = -embedding["offset"]
    return f"{name[embedding['quantity']]} from {lowest} to {lowest + embedding['n_classes'] - 1}"


def head_table(heads: Sequence[Mapping[str, Any]]) -> Table:
    """A table with one head per row."""
    columns = ("head", "level of theory", "dispersion", "domain", "trained on")
    table = _table(*columns, "licence", "citation")
    for head in heads:
        elements = listing(head["elements"]) if head["elements"] else UNKNOWN
        table.add_row(
            *map(
                Text,
                [
                    head["name"],
                    head["level_of_theory"],
                    DISPERSION_WORDS[head["dispersion"]],
                    head["domain"],
                    elements,
                    head["licence"],
                    head["citation"],
                ],
            )
        )
    return table


def _energy_table(heads: Sequence[Mapping[str, Any]], elements: Sequence[str]) -> Table:
    table = _table("element")
    for head in heads:
        table.add_column(Text(head["name"]), justify="right")
    table.add_row("kind", *(E0S_WORDS[head["e0s_kind"]] for head in heads))
    for element in elements:
        table.add_row(element, *(f"{head['E0s'][element]:.6f}" for head in heads))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def pairs(values: Mapping[str, Any]) -> Table:
    """Two columns of names and values; Text, because brackets in a user's words are not markup."""
    grid = Table.grid(padding=(0, 2))
    for name, value in values.items():
        grid.add_row(Text(printable(f"  {name}")), Text(printable(_words(value)), overflow="fold"))
    return grid


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_words(inner)}" for name, inner in value.items())
    return listing(value) if isinstance(value, (list, tuple)) else str(value)
