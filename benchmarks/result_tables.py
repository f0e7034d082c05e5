"""Writes `results/README.md` and the tables in README from the JSON objects in `results/`.

.venv/bin/python benchmarks/result_tables.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from batches_table import batch_sections
from cross_learning_table import document as cross_learning
from openmm_table import openmm_sections
from readme_table import (
    README_CASES,
    SHAPES,
    Object,
    insert,
    interval,
    single_threaded,
    speed_tables,
    title,
)
from readme_table import markdown as table
from training_table import training_sections

from mhff_bench.report_table import markdown
from mhff_bench.statistics import ratio

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[1] / "README.md"
MEMORY_CASES = ("mp-float32", "mp-float64", "mh1-float32", "mp-float32-sizes", "mh1-float32-sizes")
SCALING_CASES = ("mp-float32-sizes", "mini-engines")
SMALL = 64
"""Number of atoms from which memory per atom is shown."""
SCALING = (512, 4096)
"""Numbers of atoms whose times per atom are compared."""


def ours(report: Object) -> Iterator[tuple[Object, Object]]:
    """Contenders of ours with a ready list, each with its points."""
    contenders = {entry["label"]: entry for entry in report["contenders"]}
    for point in report["points"]:
        contender = contenders[point["contender"]]
        if not contender["peer"] and contender["engine"] == "python":
            yield contender, point


def against_peers(reports: dict[str, Object]) -> str:
    """Times of ours with one thread, and how many times as long peers take, with quartiles."""
    cases = [case for case in SHAPES if case in reports]
    peers = dict.fromkeys(
        title(contender)
        for case in cases
        for contender in single_threaded(reports[case]).values()
        if contender["peer"]
    )
    rows = []
    for case in cases:
        contenders = single_threaded(reports[case])
        for contender, point in ours(reports[case]):
            ratios = {
                title(contenders[found["of"]]): interval(found)
                for found in reports[case]["ratios"]
                if (found["atoms"], found["to"]) == (point["atoms"], contender["label"])
            }
            cells = [str(point["atoms"]), interval(point["microseconds_per_atom"])]
            floors = f"{point['times_floor']['median']:.2f}"
            rows.append([case, *cells, floors, *(ratios.get(peer, "") for peer in peers)])
    header = ["model", "atoms", "mhff, us per atom", "floors"]
    return table([*header, *(f"{peer}, takes x" for peer in peers)], rows)


def memory(reports: dict[str, Object]) -> str:
    """Peak memory per atom beyond what is loaded."""
    rows = []
    for case in MEMORY_CASES:
        for point in reports[case]["points"] if case in reports else []:
            if point["memory_bytes"] and point["atoms"] >= SMALL:
                per_atom = point["memory_bytes"]["more"] / 1e3 / point["atoms"]
                loaded = point["memory_bytes"]["loaded"] / 1e6
                name = f"{case}, {point['contender']}"
                rows.append([name, str(point["atoms"]), f"{per_atom:.0f}", f"{loaded:.0f}"])
    return table(["contender", "atoms", "kB per atom", "loaded, MB"], rows)


def scaling(reports: dict[str, Object]) -> str:
    """Time per atom of large systems."""
    rows = []
    for case in SCALING_CASES:
        times = {
            point["atoms"]: point["microseconds_per_atom"]["median"]
            for _, point in (ours(reports[case]) if case in reports else ())
        }
        small, large = (times.get(size) for size in SCALING)
        if small and large:
            rows.append([case, f"{small:.4g}", f"{large:.4g}", f"{large / small:.3f}"])
    header = [f"{n_atoms} atoms, us per atom" for n_atoms in SCALING]
    return table(["case", *header, "ratio"], rows)


def gains(reports: dict[str, Object]) -> str:
    """Speed-up by two threads."""
    rows = []
    for case, report in reports.items():
        times = {
            (point["atoms"], point["contender"]): point["seconds_per_step"]
            for point in report["points"]
        }
        for (n_atoms, label), one in times.items():
            two = times.get((n_atoms, f"{label}, 2 threads"))
            if two:
                rows.append([case, label, str(n_atoms), interval(ratio(one, two)._asdict())])
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
        ["model", "heads", "M per atom", "with one head", "ratio"],
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
            ["part", "us per atom", "adjoint", "multiply-adds, M", "G/s"],
            rows,
        )


def conditions(report: Object) -> str:
    """Date, machine, load and versions of a case, and how its peers were run."""
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
        + "".join(f"; {peer}: {settings}" for peer, settings in unnamed_settings(report))
    )


def unnamed_settings(report: Object) -> Iterator[tuple[str, str]]:
    """Peers and the way each was run, where their labels do not say it."""
    for contender in single_threaded(report).values():
        if contender["peer"] and contender["settings"] not in contender["label"]:
            yield contender["peer"], contender["settings"]


def ways(report: Object) -> str:
    """Milliseconds per step of LAMMPS by way to run it, and how often one rank's speed that is."""
    rows = []
    for n_atoms, times in report["seconds"].items():
        alone = next(iter(times.values()))
        row = [n_atoms]
        for of_way in times.values():
            ratios = [one / other for one, other in zip(alone, of_way, strict=True)]
            row.append(f"{1e3 * median(of_way):.2f} ({median(ratios):.2f})")
        rows.append(row)
    return table(["atoms", *next(iter(report["seconds"].values()))], rows)


def results_document(reports: dict[str, Object], others: dict[str, Object]) -> str:
    """The text of `results/README.md`; `others` are the reports of programs of their own."""
    cases = ", ".join(f"`{case}`" for case in README_CASES)
    lines = [
        "# Results\n",
        "Written by `benchmarks/result_tables.py` from the JSON files beside it; "
        "`benchmarks/README.md` explains the columns.\n",
        f"The tables in the repository's README come from the cases {cases}; "
        "`benchmarks/run.py --readme` measures them again.\n",
        "## Against peers, with a ready neighbour list, MgO, 6 A\n",
        "One thread; medians and quartiles of rounds in which all contenders had a turn.\n",
        against_peers(reports),
        *openmm_sections(reports),
        "## Peak memory\n",
        "For a step and its neighbour list, beyond the process with the loaded program.\n",
        memory(reports),
        "## Large systems\n",
        scaling(reports),
        "## Two threads\n",
        gains(reports),
    ]
    lines += training_sections(others.get("training"))
    lines += batch_sections(others.get("batches"))
    if found := others.get("programs"):
        lines += ["## Programs\n", *programs(found)]
    if parts := others.get("parts"):
        where = (
            f"Bulk MgO, {parts['atoms']} atoms, one thread; {parts['date']}, torch "
            f"{parts['torch']}; `parts.py`.\n"
        )
        lines += ["## Where the time goes\n", where, *shares(parts)]
    if ranks := others.get("ranks"):
        about = ranks["machine"]
        where = (
            "The bundled model in float32, MgO at constant energy: milliseconds per step, and how "
            f"many times as fast as one rank with one thread. {about['processor']}, "
            f"{about['cores']} cores, load before {about['load']}; `ranks.py`.\n"
        )
        lines += ["## LAMMPS on two cores\n", where, ways(ranks)]
    lines.append("## All cases\n")
    for case, report in reports.items():
        lines += [f"### {case}\n", f"{conditions(report)}\n", markdown(report)]
        if (RESULTS / f"{case}.png").exists():
            lines.append(f"![{case}]({case}.png)\n")
    return "\n".join(lines)


def documents(folder: Path) -> dict[Path, str]:
    """The documents that follow from the results in a folder, by path."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    reports = {name: report for name, report in found.items() if "points" in report}
    others = {name: report for name, report in found.items() if name not in reports}
    texts = {folder / "README.md": results_document(reports, others)}
    if runs := others.get("cross_learning"):
        path = folder / "cross_learning.md"
        texts[path] = cross_learning(path.read_text(), runs)
    if folder == RESULTS:
        texts[README] = insert(README.read_text(), speed_tables(reports))
    return texts


def write_tables(folder: Path) -> None:
    """Write the documents of a folder; only those of `results/` change README."""
    for path, text in documents(folder).items():
        path.write_text(text)


if __name__ == "__main__":
    write_tables(RESULTS)
