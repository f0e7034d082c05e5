"""The results of `gpu.py` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(found: dict[str, Any], sizes_of: Mapping[str, Sequence[int]]) -> str:
    """All tables; `sizes_of`: the numbers of atoms that each shape should be measured at."""
    peak = found["peak"]
    lines = [
        f"{found['gpu']}, torch {found['torch']}, Triton {found['triton']}, {found['dtype']}: copy "
        f"{peak['memory'] / 1e12:.2f} TB/s, product {peak['arithmetic'] / 1e12:.1f} T "
        "multiply-adds/s",
        "",
        "| shape | atoms | us per atom | ns/day at 1 fs | with CUDA graphs | ns/day | floor, us "
        "per atom | MB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for shape, sizes in sizes_of.items():
        rows = found["parts"].get(shape, {}).get("sizes", {})
        for n in sizes:
            lines.append(f"| {shape} | {n} | " + " | ".join(_cells(n, rows.get(str(n), {}))) + " |")
    lines += [
        "",
        *(
            f"* {part}: not measured, {found['parts'][part]['not measured']}"
            for part in _unmeasured(found)
        ),
    ]
    for shape in sizes_of:
        of_shape = found["parts"].get(shape, {})
        if "wrong" in of_shape:
            lines.append(f"* {shape}: {of_shape['wrong']}")
        if "errors" in of_shape:
            errors = ", ".join(f"{name} {value:.1e}" for name, value in of_shape["errors"].items())
            lines.append(
                f"* {shape}: compiled in {of_shape['compile']:.0f} s, largest errors against eager "
                f"float64: {errors}"
            )
    lines += [f"* {name}: {value}" for name, value in found["parts"].get("check", {}).items()]
    batches = found["parts"].get("batches", {})
    if "molecules_per_second" in batches:
        lines.append(
            f"* batches: {batches['molecules_per_second']:.0f} molecules per second, largest error "
            f"of a force {batches['largest force error']:.1e} eV/A"
        )
    if engines := {name: part["ms"] for name, part in found["parts"].items() if "ms" in part}:
        lines += ["", "| engine | atoms | ms per step | ns/day at 1 fs |", "|---|---|---|---|"]
        for name, times in engines.items():
            for n, ms in times.items():
                lines.append(f"| {name} | {n} | {ms:.2f} | {86.4 / ms:.1f} |")
    if kernel_times := {
        k: v for k, v in found["parts"].get("kernels", {}).items() if isinstance(v, dict)
    }:
        lines += [
            "",
            "| kernel, 1000 atoms | us | least by memory | least by arithmetic |",
            "|---|---|---|---|",
        ]
        for name, times in kernel_times.items():
            lines.append(
                f"| {name} | " + " | ".join(f"{value * 1e6:.1f}" for value in times.values()) + " |"
            )
    return "\n".join(lines) + "\n"


def _cells(n: int, row: dict[str, Any]) -> list[str]:
    def speed(name: str) -> list[str]:
        if name not in row:
            return ["not measured"] * 2
        return [f"{row[name] / n * 1e6:.2f}", f"{86400e-6 / row[name]:.1f}"]

    floor = f"{row['floor'] / n * 1e6:.2f}" if "floor" in row else "not measured"
    memory = f"{row['launches, bytes'] / 1e6:.0f}" if "launches, bytes" in row else "not measured"
    return [*speed("launches"), *speed("graph"), floor, memory]


def _unmeasured(found: dict[str, Any]) -> list[str]:
    return [part for part, what in found["parts"].items() if "not measured" in what]
