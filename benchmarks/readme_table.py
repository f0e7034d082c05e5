"""The tables of README's section on speed, from the committed results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Object = dict[str, Any]
BEGIN = "<!-- speed: written by benchmarks/result_tables.py -->\n"
END = "<!-- end of speed -->\n"
SHAPES = {
    "mp-float32": "MACE-MP, float32",
    "mp-float64": "MACE-MP, float64",
    "mh1-float32": "mace-mh-1, float32",
}
"""Cases against peers, and the shapes of their models."""
ENGINES_CASE = "mini-engines"
ENGINES = {"python": "ready list", "lammps": "LAMMPS", "openmm": "OpenMM", "ase": "ASE"}
README_CASES = (*SHAPES, ENGINES_CASE)
SIZES = (64, 216)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def interval(value: Object) -> str:
    """Median and quartiles."""
    return f"{value['median']:.3g} ({value['lower']:.3g} - {value['upper']:.3g})"


def three_digits(value: float) -> str:
    """A number rounded to three digits, without an exponent."""
    return f"{float(f'{value:.3g}'):g}"


def speed_tables(reports: dict[str, Object]) -> str:
    """Both tables: against peers, and the bundled model in each engine."""
    return f"{against_peers(reports)}\n{in_engines(reports[ENGINES_CASE])}"


def against_peers(reports: dict[str, Object]) -> str:
    """Times of ours, and how many times as long each peer takes; memory of ours and of peers."""
    peers = dict.fromkeys(peer for case in SHAPES for peer in _peers(reports[case]))
    names = list(dict.fromkeys(peer.split()[0] for peer in peers))
    memory_header = [f"{name}, kB/atom" for name in ("mhff", *names)]
    header = ["model", "atoms", "mhff, us/atom", *peers, *memory_header]
    rows = []
    for case, shape in SHAPES.items():
        for n_atoms in SIZES:
            own = own_point(reports[case], n_atoms, "python")
            ratios = dict(_ratios(reports[case], n_atoms, own))
            memory = dict(_memories(reports[case], n_atoms))
            cells = [three_digits(own["microseconds_per_atom"]["median"])]
            cells += [f"{three_digits(ratios[peer])} x" if peer in ratios else "" for peer in peers]
            cells += [_kilobytes(own), *(memory.get(name, "") for name in names)]
            rows.append([shape, str(n_atoms), *cells])
    return markdown(header, rows)


def in_engines(report: Object) -> str:
    """Times of the bundled model with a ready list and in dynamics in each engine."""
    header = ["bundled model, float32, us/atom", *ENGINES.values()]
    rows = []
    for n_atoms in SIZES:
        points = [own_point(report, n_atoms, engine) for engine in ENGINES]
        times = [three_digits(point["microseconds_per_atom"]["median"]) for point in points]
        rows.append([f"{n_atoms} atoms", *times])
    return markdown(header, rows)


def insert(text: str, tables: str) -> str:
    """A document with the tables between its two marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{tables}\n{END}{after}"


def single_threaded(report: Object) -> dict[str, Object]:
    """Contenders with one thread, by label."""
    return {entry["label"]: entry for entry in report["contenders"] if entry["threads"] == 1}


def title(contender: Object) -> str:
    """A peer's name, version and settings."""
    name = contender["peer"].removesuffix("-compiled")
    return f"{name} {contender['about'][name]}, {contender['settings']}"


def _peers(report: Object) -> Iterator[str]:
    for contender in single_threaded(report).values():
        if contender["peer"]:
            yield title(contender)


def own_point(report: Object, n_atoms: int, engine: str) -> Object:
    """Our point of a size in an engine."""
    contenders = single_threaded(report)
    for point in report["points"]:
        contender = contenders.get(point["contender"])
        ours = contender is not None and not contender["peer"]
        if ours and (contender["engine"], point["atoms"]) == (engine, n_atoms):
            return point
    raise SystemExit(f"{report['model']} was not measured at {n_atoms} atoms with {engine}")


def _ratios(report: Object, n_atoms: int, own: Object) -> Iterator[tuple[str, float]]:
    contenders = single_threaded(report)
    for found in report["ratios"]:
        if (found["atoms"], found["to"]) == (n_atoms, own["contender"]):
            yield title(contenders[found["of"]]), found["median"]


def _memories(report: Object, n_atoms: int) -> Iterator[tuple[str, str]]:
    contenders = single_threaded(report)
    for point in report["points"]:
        contender = contenders.get(point["contender"])
        if contender and contender["peer"] and point["atoms"] == n_atoms:
            yield contender["peer"], _kilobytes(point)


def _kilobytes(point: Object) -> str:
    memory = point["memory_bytes"]
    return "" if memory is None else three_digits(memory["more"] / 1e3 / point["atoms"])
