"""The JSON object of a benchmark as a table, for the terminal and in Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich import box
from rich.table import Table

from mhff_bench.statistics import Spread


def title(report: Mapping[str, Any]) -> str:
    """Model and system."""
    return f"{Path(report['model']).stem}, {report['system']}"


def header(report: Mapping[str, Any]) -> list[str]:
    """Column names; a peer's column says how many times as long it took."""
    return [
        "atoms",
        "contender",
        "us/atom",
        "+-",
        *(["adapter, us"] if _adapters(report) else []),
        "kB/atom",
        "floors",
        *(f"{peer} takes" for peer in peers(report)),
    ]


def peers(report: Mapping[str, Any]) -> list[str]:
    """Names of the peers that took part."""
    return list(
        dict.fromkeys(contender["peer"] for contender in report["contenders"] if contender["peer"])
    )


def shown(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Contenders by label, without the matrix product."""
    return {
        contender["label"]: contender
        for contender in report["contenders"]
        if contender["engine"] != "matrix product"
    }


def _adapters(report: Mapping[str, Any]) -> bool:
    """Whether an engine with an adapter took part."""
    return any("adapter_seconds_per_step" in point for point in report["points"])


def rows(report: Mapping[str, Any]) -> list[list[str]]:
    """A row for each contender and size."""
    chosen = shown(report)
    return [_row(report, point) for point in report["points"] if point["contender"] in chosen]


def _row(report: Mapping[str, Any], point: Mapping[str, Any]) -> list[str]:
    time = Spread(**point["microseconds_per_atom"])
    floors = point["times_floor"]
    memory = point["memory_bytes"]
    peer_of = {contender["label"]: contender["peer"] for contender in report["contenders"]}
    against = {
        peer_of[found["of"]]: f"{found['median']:.3g} x"
        for found in report["ratios"]
        if (found["atoms"], found["to"]) == (point["atoms"], point["contender"])
    }
    return [
        str(point["atoms"]),
        point["contender"],
        f"{time.median:.4g}",
        f"{100 * time.relative:.0f} %",
        *([_adapter(point)] if _adapters(report) else []),
        "" if memory is None else f"{memory['more'] / 1e3 / point['atoms']:.0f}",
        "" if floors is None else f"{floors['median']:.2f}",
        *(against.get(peer, "") for peer in peers(report)),
    ]


def _adapter(point: Mapping[str, Any]) -> str:
    """Median of the time of a step in the adapter, and its part of the step."""
    if "adapter_seconds_per_step" not in point:
        return ""
    times = point["adapter_seconds_per_step"]
    part = median(
        adapter / wall for adapter, wall in zip(times, point["seconds_per_step"], strict=True)
    )
    return f"{1e6 * median(times):.0f} ({100 * part:.1f} %)"


def terminal(report: Mapping[str, Any]) -> Table:
    """The table for the terminal."""
    table = Table(title=title(report), box=box.SIMPLE_HEAD, title_justify="left")
    for name in header(report):
        left = name == "contender"
        table.add_column(name, justify="left" if left else "right", no_wrap=not left)
    for row in rows(report):
        table.add_row(*row)
    return table


def markdown(report: Mapping[str, Any]) -> str:
    """The table in Markdown."""
    names = header(report)
    lines = [names, ["---" if name == "contender" else "---:" for name in names], *rows(report)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
