"""`mhff info` of artefacts: their manifest, read without loading the program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from mhff.describe import Description, head_table, pairs, state_words
from mhff.errors import MHFFError, listing
from mhff_deploy.artefact.content import is_artefact, read_manifest
from mhff_deploy.artefact.runtime import check_manifest


def describe_artefact(path: Path) -> Description | None:
    """Description of an artefact, or None of another file; raises MHFFError if it is damaged."""
    content = path.read_bytes()
    return describe_content(content, path) if is_artefact(content) else None


def describe_content(content: bytes, path: Path) -> Description:
    """Description of an artefact's content in the file `path`, which may hold more than the
    artefact.
    """
    manifest = read_manifest(content, path)
    try:
        check_manifest(manifest, path, None, None)
        problem = None
    except MHFFError as error:
        problem = str(error)
    of_file = {
        "kind": "artefact",
        "file": str(path),
        "bytes": path.stat().st_size,
        "problem": problem,
    }
    summary = of_file | manifest.model_dump(mode="json")
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
    """What fits in a line; the model file shows settings and errors."""
    return {
        name: value for name, value in provenance.items() if not isinstance(value, (Mapping, list))
    }


def _facts(summary: Mapping[str, Any]) -> dict[str, str]:
    errors = summary["largest_errors"]
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
        "errors": ", ".join(
            f"{name.replace('_', ' ')} {error:.1e} {_UNIT[name]}" for name, error in errors.items()
        )
        + ", against the eager float64 model, relative to the largest gradient",
        "units": ", ".join(f"{quantity} {unit}" for quantity, unit in summary["units"].items()),
        "made with": f"mhff {summary['mhff_version']}, torch {summary['torch_version']}",
        "format": f"version {summary['format_version']}",
    }
    if summary["state_embeddings"]:
        facts["also takes"] = listing(
            state_words(embedding) for embedding in summary["state_embeddings"]
        )
        facts["where none is given"] = (
            f"charge {summary['default_charge']:g}, multiplicity {summary['default_spin']:g}"
        )
    return facts


_UNIT = {"node_energies": "eV per atom", "edge_gradients": "eV/A"}


def _processor(summary: Mapping[str, Any]) -> str:
    made_on = f"compiled on one with {summary['processor']}"
    return f"instructions {summary['isa']}, {made_on}" if summary["isa"] else made_on


def _tables(tables: Mapping[str, float]) -> str:
    if not tables.get("intervals"):
        return "none: radial networks kept"
    return (
        f"{tables['intervals']:.0f} intervals, error of forces {tables['measured']:.1e} eV/A "
        "measured, "
        f"{tables['asked']:g} eV/A asked"
    )
