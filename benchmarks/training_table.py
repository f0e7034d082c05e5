"""The tables of training steps, from `results/training.json`."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from readme_table import Object, interval, three_digits
from readme_table import markdown as table

from mhff_bench.statistics import ratio

OURS, PEER = "mhff", "mace-torch"


def training_sections(found: Object | None) -> Iterator[str]:
    """Sections about training; none without results."""
    if found is None:
        return
    about = found["machine"]
    yield "## Training\n"
    yield (
        "A step: energies, forces and stress of a batch, gradients of all weights, clipping, AdamW "
        f"with amsgrad, moving average. {about['processor']}, {about['cores']} cores, load before "
        f"{about['load']}; {found['date']}, torch {found['versions']['torch']}; `training.py`.\n"
    )
    yield steps(found["cases"])
    if gains := list(two_threads(found["cases"])):
        yield table(["case", "contender", "two threads are faster by x"], gains)
    if epoch := found["epoch"]:
        yield "### An epoch of `examples/mini`, whole program with validation, one thread\n"
        rows = [[way, three_digits(seconds)] for way, seconds in epoch.items()]
        yield table(["network", "s"], rows)


def steps(cases: Object) -> str:
    """Times and memory of steps, and how many times as much the peer takes."""
    rows = []
    for case, report in cases.items():
        by_threads = sorted({each["threads"] for each in report["contenders"]})
        for threads in by_threads:
            own, peer = (contender(report, name, threads) for name in (OURS, PEER))
            memory = [each["memory"]["more"] / 1e6 for each in (own, peer)]
            rows.append(
                [
                    case,
                    str(threads),
                    str(report["atoms"]),
                    *(three_digits(1e3 * median(each["wall"])) for each in (own, peer)),
                    interval(ratio(peer["wall"], own["wall"])._asdict()),
                    *map(three_digits, memory),
                    three_digits(memory[0] / memory[1]),
                ]
            )
    times = ["mhff, ms", f"{PEER}, ms", f"{PEER} takes x"]
    return table(
        ["case", "threads", "atoms", *times, "mhff, MB", f"{PEER}, MB", "of its memory"], rows
    )


def two_threads(cases: Object) -> Iterator[list[str]]:
    """Rows: how many times as fast contenders are with two threads."""
    for case, report in cases.items():
        threads = {each["threads"] for each in report["contenders"]}
        for name in (OURS, PEER) if threads >= {1, 2} else ():
            one, two = (contender(report, name, n)["wall"] for n in (1, 2))
            yield [case, name, interval(ratio(one, two)._asdict())]


def contender(report: Object, name: str, threads: int) -> Object:
    """The entry of a contender."""
    found = [each for each in report["contenders"] if each["name"] == name]
    return next(each for each in found if each["threads"] == threads)
