"""Reports: what the times mean, what is compared, the table; contenders that disagree."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from mhff.errors import MHFFError
from mhff_bench.benchmark import check_energies
from mhff_bench.contenders import MIN_STEPS, Contender
from mhff_bench.count import Count
from mhff_bench.peers import Peer
from mhff_bench.report import Floor, Point, Report
from mhff_bench.report_table import header, rows, terminal
from mhff_bench.statistics import ratio, spread

RIVAL = Peer("rival", "rival", "eager", {"MALLOC_TOP_PAD_": "1"})


def test_a_ratio_is_taken_where_the_machine_was_the_same() -> None:
    """The machine is slow in some rounds; the ratio of medians would be wrong by that."""
    pace = np.array([1.0, 1.0, 3.0, 1.0, 1.0])
    assert ratio(10 * pace, 2 * pace) == (5.0, 5.0, 5.0)
    assert ratio([8.0, 9.0, 30.0], [2.0, 1.0, 10.0]) == (4.0, 3.5, 6.5)
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_medians_and_quartiles() -> None:
    assert spread([5.0, 1.0, 2.0, 4.0, 3.0]) == (3.0, 2.0, 4.0)
    assert spread([2.0, 1.0, 1000.0]).median == 2.0
    assert spread([4.0, 4.0, 6.0, 8.0, 8.0]).relative == pytest.approx(4 / 12)
    with pytest.raises(ValueError, match="at least one"):
        spread([])


def contender(label: str, peer: Peer | None = None, **options: Any) -> Contender:
    common = {"engine": "python", "dtype": "float32", "form": "aoti", "threads": 1}
    return Contender(label, (), common | options, peer=peer)


def report() -> Report:
    """Two sizes, one of ours, a peer that takes 10 and 20 times as long, in two precisions."""
    own = contender("python aoti float32")
    peer = contender("rival python float32", RIVAL)
    other = contender("rival python float64", RIVAL, dtype="float64")
    points = [
        Point(
            n_atoms,
            who,
            -1.0,
            1,
            [factor * n_atoms * 1e-6 * pace for pace in (1.0, 2.0, 1.0)],
            [],
            memory={"more": 9000 * n_atoms},
        )
        for n_atoms in (8, 64)
        for who, factor in ((own, 1.0), (peer, 10.0 if n_atoms == 8 else 20.0), (other, 30.0))
    ]
    floors = [
        Floor(n_atoms, "float32", 1, Count(300.0, 100.0, 50.0, 50.0), [1e9, 0.5e9, 1e9])
        for n_atoms in (8, 64)
    ]
    return Report(
        "m.mhff",
        "mgo",
        None,
        "",
        {},
        {},
        [(own, {}), (peer, {}), (other, {})],
        {8: 80, 64: 88},
        points,
        floors,
    )


def test_a_report_compares_what_is_alike() -> None:
    found = json.loads(json.dumps(report().as_dict()))
    assert [(entry["atoms"], entry["of"], entry["median"]) for entry in found["ratios"]] == [
        (8, "rival python float32", pytest.approx(10.0)),
        (64, "rival python float32", pytest.approx(20.0)),
    ]
    assert [
        point["times_floor"] and point["times_floor"]["median"] for point in found["points"][:3]
    ] == [
        pytest.approx(2.0),
        pytest.approx(20.0),
        None,
    ]
    assert found["points"][0]["microseconds_per_atom"]["median"] == pytest.approx(1.0)


def test_the_table_says_it() -> None:
    found = report().as_dict()
    assert header(found)[-1] == "rival takes"
    assert rows(found)[3] == ["64", "python aoti float32", "1", "25 %", "9", "2.00", "20 x"]


def test_the_table_says_what_an_adapter_takes() -> None:
    measured = report()
    assert "adapter, us" not in header(measured.as_dict())
    own = measured.points[3]
    own.adapter = [0.05 * seconds for seconds in own.wall]
    found = measured.as_dict()
    column = header(found).index("adapter, us")
    assert [row[column] for row in rows(found)] == ["", "", "", "3 (5.0 %)", "", ""]


def test_contenders_must_compute_the_same() -> None:
    ours, peer, clock = (
        contender("ours"),
        contender("rival", RIVAL),
        Contender("list", (), {"dtype": "float32", "threads": 1}, False),
    )
    check_energies([ours, clock, peer], [-8000.0, float("nan"), -8000.0006], 8)
    with pytest.raises(
        MHFFError,
        match=r"expected the same energy of 8 atoms, got -8000\.000000 eV of ours and -8000\.01",
    ):
        check_energies([ours, clock, peer], [-8000.0, float("nan"), -8000.01], 8)
    with pytest.raises(MHFFError, match="nan"):
        check_energies([ours, peer], [-8000.0, float("nan")], 8)


def test_a_report_says_how_peers_were_run() -> None:
    found = report().as_dict()["contenders"]
    assert [entry["settings"] for entry in found[:2]] == [None, "eager, tuned malloc"]


def test_blocks_of_dynamics_are_long_enough_to_build_neighbour_lists() -> None:
    assert contender("ours").min_steps == 1
    assert contender("ours", engine="ase").min_steps == MIN_STEPS
    assert contender("rival", RIVAL, engine="ase").min_steps == 1  # it builds one at each step


def test_long_labels_leave_the_numbers_whole_in_a_narrow_terminal() -> None:
    found = report()
    for entry, _ in found.contenders:
        object.__setattr__(entry, "label", f"{entry.label}, eager, with an allocator of its own")
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(terminal(found.as_dict()))
    text = console.export_text()
    assert "…" not in text
    assert "20 x" in text
