"""`results/README.md` from the JSON objects beside it: first the figures that matter, then every
table.

.venv/bin/python benchmarks/tables.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mhff_bench.report_table import markdown
from mhff_bench.statistics import ratio

Object = dict[str, Any]
RESULTS = Path(__file__).parent / "results"
COMPARED = {
    "mp-float32": "mp-float32-threads",
    "mp-float64": "mp-float64",
    "mh1-float32": "mh1-float32-threads",
}
"""Cases with one and two threads, by model and precision."""
SIZES = (64, 216)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def point(report: Object, n_atoms: int, label: str) -> Object | None:
    """One contender at one size."""
    found = [p for p in report["points"] if (p["atoms"], p["contender"]) == (n_atoms, label)]
    return found[0] if found else None


def interval(value: Object, digits: int = 3) -> str:
    """Median and quartiles."""
    return (
        f"{value['median']:.{digits}g} ({value['lower']:.{digits}g} - {value['upper']:.{digits}g})"
    )


def ratio_to(report: Object, n_atoms: int, peer: str, threads: int) -> str:
    """How many times as long a peer takes with the same number of threads."""
    two = threads > 1
    for found in report["ratios"]:
        if (
            found["atoms"] == n_atoms
            and found["of"].startswith(peer)
            and ("threads" in found["of"]) == two
        ):
            return interval(found)
    return ""


def against_peers(reports: dict[str, Object]) -> str:
    """Ours, and how many times as long peers take."""
    rows = []
    for case, both in COMPARED.items():
        for threads in (1, 2):
            report = reports.get(both)
            if report is None:
                continue
            for n_atoms in SIZES:
                label = f"python aoti {case.split('-')[1]}" + (
                    ", 2 threads" if threads == 2 else ""
                )
                own = point(report, n_atoms, label)
                if own is not None:
                    ratios = [
                        ratio_to(report, n_atoms, peer, threads)
                        for peer in ("mace-torch", "symmetrix-xl")
                    ]
                    floors = f"{own['times_floor']['median']:.2f}"
                    rows.append(
                        [
                            case,
                            str(threads),
                            str(n_atoms),
                            interval(own["microseconds_per_atom"]),
                            floors,
                            *ratios,
                        ]
                    )
    return table(
        [
            "model",
            "threads",
            "atoms",
            "mhff, us per atom",
            "floors",
            "mace-torch takes x",
            "Symmetrix-XL takes x",
        ],
        rows,
    )


def memory(reports: dict[str, Object]) -> str:
    """Peak memory per atom beyond what is loaded."""
    rows = []
    for case in COMPARED:
        report = reports.get(case)
        for p in report["points"] if report else []:
            if p["memory_bytes"] and p["atoms"] >= 64:
                per_atom = p["memory_bytes"]["more"] / 1e3 / p["atoms"]
                loaded = p["memory_bytes"]["loaded"] / 1e6
                rows.append(
                    [
                        f"{case}, {p['contender']}",
                        str(p["atoms"]),
                        f"{per_atom:.0f}",
                        f"{loaded:.0f}",
                    ]
                )
    return table(["contender", "atoms", "kB per atom", "loaded, MB"], rows)


def scaling(reports: dict[str, Object]) -> str:
    """Time per atom of large systems."""
    rows = []
    for case, label in (
        ("mp-float32", "python aoti float32"),
        ("mini-engines", "python aoti float32"),
    ):
        small, large = (
            (point(reports[case], n, label) for n in (512, 4096))
            if case in reports
            else (None, None)
        )
        if small and large:
            times = [p["microseconds_per_atom"]["median"] for p in (small, large)]
            rows.append([case, *(f"{time:.4g}" for time in times), f"{times[1] / times[0]:.3f}"])
    return table(["case", "512 atoms, us per atom", "4096 atoms", "ratio"], rows)


def gains(reports: dict[str, Object]) -> str:
    """How many times as fast two threads are."""
    rows = []
    for case, report in reports.items():
        for n_atoms in sorted({p["atoms"] for p in report["points"]}):
            for contender in report["contenders"]:
                one = point(report, n_atoms, contender["label"])
                two = point(report, n_atoms, f"{contender['label']}, 2 threads")
                if one and two:
                    gain = ratio(one["seconds_per_step"], two["seconds_per_step"])
                    rows.append([case, contender["label"], str(n_atoms), interval(gain._asdict())])
    return table(["case", "contender", "atoms", "two threads are faster by x"], rows)


def programs(found: Object) -> Iterator[str]:
    """Sections about programs."""
    yield "### Making programs, `mhff compile` with an empty cache, one thread\n"
    yield table(
        ["program", "s", "processor s", "MB"],
        [
            [
                f"{p['model']} {p['form']} {p['dtype']}",
                f"{p['seconds']:.0f}",
                f"{p['processor_seconds']:.0f}",
                f"{p['megabytes']:.1f}",
            ]
            for p in found["compiling"]
        ],
    )
    yield "### All heads against one, multiply-adds counted\n"
    yield table(
        ["model", "heads", "million per atom", "with one head", "ratio"],
        [
            [
                h["model"],
                str(h["heads"]),
                f"{h['all'] / 1e6:.3f}",
                f"{h['one'] / 1e6:.3f}",
                f"{h['ratio']:.4f}",
            ]
            for h in found["heads"]
        ],
    )
    for held in found["steady_memory"]:
        yield (
            f"### Memory held during {held['calls']} calls, {held['model']}, {held['atoms']} "
            "atoms, ASE\n"
        )
        megabytes = ", ".join(f"{size / 1e6:.1f}" for size in held["bytes"])
        yield f"After the first tenth, and after each tenth from there on, MB: {megabytes}\n"


def shares(found: Object) -> Iterator[str]:
    """Sections about the parts of a step."""
    for case, step in found["cases"].items():
        yield f"### {case}: {step['step']:.1f} us per atom\n"
        rows = []
        for part, forward in step["parts"].items():
            if part.endswith("_adjoint"):
                continue
            both = [forward, step["parts"].get(f"{part}_adjoint")]
            work = step["counted"].get(part)
            rate = "" if work is None else f"{work / 1e3 / sum(time or 0 for time in both):.0f}"
            counted = "" if work is None else f"{work / 1e6:.2f}"
            rows.append(
                [part, *("" if time is None else f"{time:.2f}" for time in both), counted, rate]
            )
        yield table(
            ["part", "us per atom", "adjoint", "million multiply-adds", "thousand million per s"],
            rows,
        )


def conditions(report: Object) -> str:
    """When and where."""
    machine = report["machine"]
    versions = dict(report["versions"])
    for contender in report["contenders"]:
        versions |= {
            name: value
            for name, value in contender["about"].items()
            if isinstance(value, (str, int))
        }
    return (
        f"{report['date'][:10]}; {machine['processor']}, {machine['cores']} cores, "
        f"{machine['instructions']}; "
        f"load before {machine['load']}; "
        + ", ".join(f"{name} {value}" for name, value in sorted(versions.items()))
    )


def write_tables(folder: Path) -> None:
    """Write `README.md` into the folder of the results."""
    reports = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    found, of_steps = reports.pop("programs", None), reports.pop("parts", None)
    parts = [
        "# Results\n",
        "Written by `benchmarks/tables.py` from the JSON files beside it; for the columns see "
        "`benchmarks/README.md`.\n",
        "## Against peers, with a ready neighbour list, MgO, 6 A\n",
        "Medians and quartiles of rounds in which all contenders had a turn.\n",
        against_peers(reports),
        "## Peak memory\n",
        "Of a step and its neighbour list, beyond the process with the loaded program.\n",
        memory(reports),
        "## Large systems\n",
        scaling(reports),
        "## Two threads\n",
        gains(reports),
    ]
    if found:
        parts += ["## Programs\n", *programs(found)]
    if of_steps:
        where = (
            f"Bulk MgO, {of_steps['atoms']} atoms, one thread; {of_steps['date']}, torch "
            f"{of_steps['torch']}; `parts.py`.\n"
        )
        parts += ["## Where the time goes\n", where, *shares(of_steps)]
    parts.append("## All cases\n")
    for case, report in reports.items():
        parts += [f"### {case}\n", f"{conditions(report)}\n", markdown(report)]
        if (folder / f"{case}.png").exists():
            parts.append(f"![{case}]({case}.png)\n")
    (folder / "README.md").write_text("\n".join(parts))


if __name__ == "__main__":
    write_tables(RESULTS)
