"""`mhff info` of artefacts: their manifest, read without loading the program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from mhff.describe import head_table, pairs, state_words
from mhff.errors import MHFFError, listing
from mhff.filekinds import Description, SourceFile
from mhff.mixes import Mix
from mhff.options import InstructionSet
from mhff_deploy.artefact.compatibility import check_manifest
from mhff_deploy.artefact.content import read_manifest


def describe_artefact(file: SourceFile) -> Description:
    """Description of an artefact; raises MHFFError if it is damaged."""
    return describe_content(file.content, file.path)


def describe_content(content: bytes, path: Path) -> Description:
    """Description of an artefact's content in the file `path`, which may hold more than that."""
    manifest = read_manifest(content, path)
    try:
        check_manifest(manifest, path, None)
        problem = None
    except MHFFError as error:
        problem = str(error)
    summary = {
        "kind": "artefact",
        "file": str(path),
        "bytes": path.stat().st_size,
        "problem": problem,
        "form": str(manifest.form),
        "dtype": str(manifest.capabilities.precision),
        **manifest.capabilities.model_dump(mode="json", exclude={"precision"}),
        **manifest.model_dump(mode="json", exclude={"capabilities"}),
    }
    return Description(summary, render(summary))


def render(summary: Mapping[str, Any]) -> Group:
    """A summary as tables for a terminal."""
    return Group(
        pairs(_facts(summary)),
        Text("\nHeads", style="bold"),
        head_table(summary["heads"]),
        Text("\nProvenance of the model", style="bold"),
        pairs(_short(summary["provenance"]) | {"sha256": summary["model_sha256"]}),
    )


def _short(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Entries that fit in a line; the model file shows settings and errors."""
    return {
        name: value for name, value in provenance.items() if not isinstance(value, (Mapping, list))
    }


def _facts(summary: Mapping[str, Any]) -> dict[str, str]:
    facts = {
        "file": f"{summary['file']} ({summary['bytes'] / 1e6:.2f} MB)",
        "program": f"{summary['form']} for {summary['target']}, {summary['dtype']} on "
        f"{summary['device']}",
        "processor": _processor(summary),
        "runs here": "yes" if summary["problem"] is None else f"no: {summary['problem']}",
        "default head": summary["default_head"] or "none: name one",
        "elements": listing(summary["elements"]),
        "cutoff": f"{summary['r_max']:g} A",
        "tables": _tables(summary["tables"]),
        "errors": _errors(summary["largest_errors"]),
        "units": ", ".join(f"{quantity} {unit}" for quantity, unit in summary["units"].items()),
        "made with": f"mhff {summary['mhff_version']}, torch {summary['torch_version']}",
        "format": f"version {summary['format_version']}",
    }
    if summary["mixes"]:
        facts["mixes"] = listing(Mix(**mix) for mix in summary["mixes"])
    if summary["state_embeddings"]:
        charge, spin = summary["default_state"]
        facts["also takes"] = listing(
            state_words(embedding) for embedding in summary["state_embeddings"]
        )
        facts["where none is given"] = f"charge {charge:g}, multiplicity {spin:g}"
    return facts


def _errors(errors: Mapping[str, float]) -> str:
    found = [
        f"{name.replace('_', ' ')} {error:.1e} {'eV' if name == 'node_energies' else 'eV/A'}"
        for name, error in errors.items()
    ]
    return f"{listing(found)}, against the eager float64 model, relative to the largest gradient"


def _processor(summary: Mapping[str, Any]) -> str:
    made_on = f"compiled on one with {summary['processor']}"
    if summary["device"] != "cpu":
        return made_on
    isa = InstructionSet(summary["options"]["isa"])
    if isa is InstructionSet.NATIVE:
        return f"this kind only, {made_on}"
    return f"{isa.levels[0]} and better, kernels for {listing(isa.levels)}, {made_on}"


def _tables(tables: Mapping[str, Any]) -> str:
    if not tables["n_intervals"]:
        return "none: radial networks kept"
    sizes = f"{tables['n_intervals']} intervals"
    if tables["are_inputs"] and not tables["stored"]:
        sizes = f"made for a structure's elements; for {listing(tables['elements'])} {sizes}"
    return (
        f"{sizes}, error of forces on atoms {tables['measured']:.1e} eV/A measured, "
        f"{tables['asked']:g} eV/A asked"
    )
