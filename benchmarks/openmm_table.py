"""The table of dynamics in OpenMM against openmm-ml, for `results/README.md`."""

from __future__ import annotations

from statistics import median

from readme_table import Object, interval
from readme_table import markdown as table

CASE = "mp-openmm"


def openmm_sections(reports: dict[str, Object]) -> list[str]:
    """The comparison with openmm-ml, if it was measured."""
    if CASE not in reports:
        return []
    return [
        "## Dynamics in OpenMM, against openmm-ml's path to mace-torch\n",
        "Model mp, float32, one thread, bulk MgO at constant energy, neighbour lists included.\n",
        openmm_ml(reports[CASE]),
    ]


def openmm_ml(report: Object) -> str:
    """Steps per second in OpenMM, against openmm-ml with the same model."""
    peers = {entry["label"] for entry in report["contenders"] if entry["peer"]}
    ours = next(entry["label"] for entry in report["contenders"] if entry["engine"] == "openmm")
    rows = []
    for found in report["ratios"]:
        if found["of"] not in peers or found["to"] != ours:
            continue
        points = {p["contender"]: p for p in report["points"] if p["atoms"] == found["atoms"]}
        steps = [1 / median(points[label]["seconds_per_step"]) for label in (ours, found["of"])]
        adapter = 1e6 * median(points[ours]["adapter_seconds_per_step"])
        row = [str(found["atoms"]), *(f"{rate:.3g}" for rate in steps)]
        rows.append([*row, interval(found), f"{adapter:.0f}"])
    header = ["atoms", "mhff, steps/s", "openmm-ml, steps/s", "mhff is faster by x"]
    return table([*header, "mhff's adapter, us per step"], rows)
