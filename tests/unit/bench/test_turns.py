"""Turns, ratios, memory and workers of benchmarks; nothing here depends on how fast a machine is."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from mhff.errors import MHFFError
from mhff_bench.benchmark import check_energies
from mhff_bench.contenders import Contender
from mhff_bench.report import Floor, Point, Report
from mhff_bench.report_table import header, rows
from mhff_bench.statistics import ratio, spread
from mhff_bench.systems import DEFAULT_SIZES, SYSTEMS, factors
from mhff_bench.turns import as_request, peak_memory, steps_of_a_block, take_turns
from mhff_bench.worker import Worker

MEGABYTE = 2**20


class Clockwork:
    """A runner whose steps take `seconds` times the machine's pace at that moment."""

    def __init__(self, name: str, seconds: float, log: list[str], pace: list[float]) -> None:
        self.name, self.seconds, self.log, self.pace = name, seconds, log, pace

    def ask(self, request: str, value: Any) -> dict[str, Any]:
        assert request == "run"
        self.log.append(f"{self.name} {value}")
        pace = self.pace[len(self.log) - 1] if len(self.log) <= len(self.pace) else 1.0
        return {"wall": value * self.seconds * pace, "cpu": value * self.seconds}


def test_runners_take_turns_and_each_begins_a_round() -> None:
    log: list[str] = []
    runners = [Clockwork(name, 0.1, log, []) for name in "abc"]
    times = take_turns(runners, rounds=3, block=0.2)
    assert log == [
        "a 1",
        "b 1",
        "c 1",
        *("a 2", "b 2", "c 2"),
        *("b 2", "c 2", "a 2"),
        *("c 2", "a 2", "b 2"),
    ]
    assert [taken.n_steps for taken in times] == [2, 2, 2]
    assert [len(taken.wall) for taken in times] == [3, 3, 3]
    assert times[0].wall == pytest.approx([0.1, 0.1, 0.1])


def test_a_block_has_as_many_steps_as_fit() -> None:
    assert steps_of_a_block(Clockwork("a", 0.01, [], []), 0.3) == 30
    assert steps_of_a_block(Clockwork("a", 5.0, [], []), 0.3) == 1
    assert steps_of_a_block(Clockwork("a", 1e-9, [], []), 0.3) == 2000


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


def contender(label: str, **options: Any) -> Contender:
    return Contender(
        label, (), {"engine": "python", "dtype": "float32", "form": "aoti", "threads": 1} | options
    )


def report() -> Report:
    """Two sizes, one of ours, one peer in two precisions; the peer takes 10 and 20 times as long."""
    own, peer = contender("python aoti float32"), contender("rival python float32", peer="rival")
    other = contender("rival python float64", peer="rival", dtype="float64")
    points = [
        Point(
            n_atoms,
            who,
            -1.0,
            1,
            [factor * n_atoms * 1e-6 * pace for pace in (1.0, 2.0, 1.0)],
            [],
            {"more": 9000 * n_atoms},
        )
        for n_atoms in (8, 64)
        for who, factor in ((own, 1.0), (peer, 10.0 if n_atoms == 8 else 20.0), (other, 30.0))
    ]
    from mhff_bench.count import Count

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


def test_contenders_must_compute_the_same() -> None:
    ours, peer, clock = (
        contender("ours"),
        contender("rival", peer="rival"),
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


@pytest.mark.parametrize("name", SYSTEMS)
def test_systems_have_the_size_that_was_asked_for_and_no_clashes(name: str) -> None:
    system = SYSTEMS[name]
    for n_atoms in (system.multiple, *DEFAULT_SIZES[name][:2]):
        atoms = system.atoms(n_atoms)
        assert len(atoms) == n_atoms
        assert atoms.pbc.all()
        distances = atoms.get_all_distances(mic=True)[np.triu_indices(n_atoms, 1)]
        assert distances.min() > 0.8
        assert np.abs(system.atoms(n_atoms).positions - atoms.positions).max() == 0.0


@pytest.mark.parametrize(
    ("name", "n_atoms", "nearest"), [("mgo", 63, 64), ("water", 1, 3), ("co-on-mgo", 20, 18)]
)
def test_a_size_that_the_pattern_does_not_have(name: str, n_atoms: int, nearest: int) -> None:
    with pytest.raises(MHFFError, match=f"got {n_atoms}; take {nearest}$"):
        SYSTEMS[name].atoms(n_atoms)


def test_factors_are_near_each_other() -> None:
    assert factors(27, 3) == (3, 3, 3)
    assert factors(12, 3) == (3, 2, 2)
    assert factors(7, 2) == (7, 1)
    for n in range(1, 60):
        assert np.prod(factors(n, 3)) == n


WORKER = """
from mhff_bench.workers.serving import serve
class Held:
    about = {"name": "held"}
    def prepare(self, system):
        print("engines print what they like")
        self.held = bytearray(1_000_000 * len(system["numbers"]))
        return float(len(self.held))
    def run(self, n_steps):
        if n_steps == 13:
            raise RuntimeError("a traceback first\\nthirteen steps")
def open_contender(options):
    if options.get("refuse"):
        from mhff.errors import MHFFError
        raise MHFFError("expected something else")
    return Held()
serve(open_contender)
"""


@pytest.fixture
def holding(tmp_path: Path) -> Contender:
    """A worker that holds a million bytes per atom."""
    (tmp_path / "worker.py").write_text(WORKER)
    return Contender(
        "held",
        (sys.executable, str(tmp_path / "worker.py")),
        {"engine": "python", "dtype": "", "threads": 1},
    )


def test_a_worker_answers(holding: Contender) -> None:
    with holding.start() as worker:
        assert worker.about == {"name": "held"}
        assert worker.ask("prepare", as_request(Atoms("H2"))) == {"energy": 2e6}
        assert set(worker.ask("run", 3)) == {"wall", "cpu"}


def test_memory_is_what_a_step_needs_beside_the_loaded_program(holding: Contender) -> None:
    found = peak_memory(holding, Atoms("H"), Atoms("H60"))
    assert 55e6 < found["more"] < 60e6 + 8 * MEGABYTE
    assert found["loaded"] > 5 * MEGABYTE


def test_failures_of_workers_are_sentences(holding: Contender) -> None:
    with (
        holding.start() as worker,
        pytest.raises(
            MHFFError, match=r"^held failed \(RuntimeError: thirteen steps\); leave it out$"
        ),
    ):
        worker.ask("run", 13)
    with pytest.raises(MHFFError, match=r"^expected something else$"):
        Worker("held", holding.command, holding.options | {"refuse": True})
    with pytest.raises(
        MHFFError, match=r"^gone ended with code 3 \(it said nothing\); leave it out$"
    ):
        Worker("gone", (sys.executable, "-c", "raise SystemExit(3)"), {"threads": 1})
    with pytest.raises(
        MHFFError, match=r"^cannot start '/no/python' for gone \(No such file or directory\)"
    ):
        Worker("gone", ("/no/python",), {"threads": 1})
