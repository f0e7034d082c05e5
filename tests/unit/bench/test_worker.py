"""Workers: processes that answer requests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ase import Atoms

from mhff.errors import MHFFError
from mhff_bench.contenders import Contender
from mhff_bench.memory import one_of_each, peak_memory
from mhff_bench.turns import as_request
from mhff_bench.worker import Worker

MEGABYTE = 1_000_000
WORKER = """
import os
from mhff_bench.workers.serving import serve
class Keeping:
    about = {"tuned": os.environ.get("TUNED")}
    kept = bytearray()
    def prepare(self, system):
        print("engines print what they like")
        size = 1_000_000 * len(system["numbers"])
        if size > len(self.kept):
            self.kept = bytearray(size)
        return float(size)
    def run(self, n_steps):
        if n_steps == 13:
            raise RuntimeError("a traceback first\\nthirteen steps")
def open_contender(options):
    if options.get("refuse"):
        from mhff.errors import MHFFError
        raise MHFFError("expected something else")
    return Keeping()
serve(open_contender)
"""


@pytest.fixture
def keeping(tmp_path: Path) -> Contender:
    """A contender that keeps a million bytes per atom of the largest system so far."""
    (tmp_path / "worker.py").write_text(WORKER)
    return Contender(
        "keeping",
        (sys.executable, str(tmp_path / "worker.py")),
        {"engine": "python", "dtype": "", "threads": 1},
        environment={"TUNED": "yes"},
    )


def test_a_worker_answers(keeping: Contender) -> None:
    with keeping.start() as worker:
        assert worker.about == {"tuned": "yes"}
        assert worker.ask("prepare", as_request(Atoms("H2"))) == {"value": 2e6}
        assert set(worker.ask("run", 3)) == {"wall", "cpu", "adapter"}


def test_memory_of_a_step_counts_what_a_program_keeps(keeping: Contender) -> None:
    """The baseline once held what was kept after the smallest size of a benchmark."""
    found = peak_memory(keeping, Atoms("HO" * 30))
    assert 56 * MEGABYTE < found["more"] < 68 * MEGABYTE
    assert found["loaded"] > 5 * MEGABYTE


def test_the_smallest_system_has_one_atom_of_each_element() -> None:
    assert one_of_each(Atoms("MgOMgOC")).get_chemical_symbols() == ["Mg", "O", "C"]


def test_failures_of_workers_are_sentences(keeping: Contender) -> None:
    with (
        keeping.start() as worker,
        pytest.raises(
            MHFFError, match=r"^keeping failed \(RuntimeError: thirteen steps\); leave it out$"
        ),
    ):
        worker.ask("run", 13)
    with pytest.raises(MHFFError, match=r"^expected something else$"):
        Worker("keeping", keeping.command, {**keeping.options, "refuse": True})
    with pytest.raises(
        MHFFError, match=r"^gone ended with code 3 \(it said nothing\); leave it out$"
    ):
        Worker("gone", (sys.executable, "-c", "raise SystemExit(3)"), {"threads": 1})
    with pytest.raises(
        MHFFError, match=r"^cannot start '/no/python' for gone \(No such file or directory\)"
    ):
        Worker("gone", ("/no/python",), {"threads": 1})
