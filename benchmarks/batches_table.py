"""The table of many small molecules, from `results/batches.json`."""

from __future__ import annotations

from collections.abc import Iterator

from readme_table import Object, three_digits
from readme_table import markdown as table

DTYPES = ("float32", "float64")


def batch_sections(found: Object | None) -> Iterator[str]:
    """The section about many structures; none without results."""
    if found is None:
        return
    about = found["machine"]
    yield "## Many small molecules\n"
    yield (
        f"{found['molecules']} molecules of 9 to 20 atoms, {found['atoms']} atoms in all, energies "
        "and forces, a random model of the bundled one's shape, two processes or threads. "
        f"{about['processor']}, {about['cores']} cores, load before {about['load']}; "
        "`batches.py`. In one system: what so many atoms cost in steps of ASE with the program, as "
        "molecules that do not interact. mace-torch's calculator and torch-sim were measured with "
        "samples of the same molecules.\n"
    )
    rows = [_row(dtype, found[dtype]) for dtype in DTYPES if dtype in found]
    yield table(
        [
            "precision",
            "mhff.compute, s",
            "in one system, s",
            "ratio",
            "mace-torch one by one takes x",
            "torch-sim with mhff, relaxation steps/s",
            "with mace-torch",
            "ratio",
        ],
        rows,
    )


def _row(dtype: str, times: Object) -> list[str]:
    ours = times["compute_s"]
    steps = times["relaxation_steps_per_s"]
    theirs = times["peer_relaxation_steps_per_s"]
    numbers = [
        ours,
        times["one_system_s"],
        ours / times["one_system_s"],
        times["peer_loop_s"] / ours,
        steps,
        theirs,
        steps / theirs,
    ]
    return [dtype, *map(three_digits, numbers)]
