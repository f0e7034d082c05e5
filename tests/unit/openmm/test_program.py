"""Programs that a process keeps loaded."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from mhff_openmm import program as programs
from mhff_openmm.program import MAX_LOADED, Program, load_program


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Program]:
    """The programs that were opened, which takes a while."""
    record: list[Program] = []

    def slowly(program: Program, file: object) -> object:
        time.sleep(0.01)
        record.append(program)
        return object()

    monkeypatch.setattr(programs, "_opened", slowly)
    monkeypatch.setattr(programs, "_loaded", {})
    return record


def numbered(number: int) -> Program:
    return Program(f"{number}.mhff", "0" * 64, None, "cpu", "float32", ("H",))


def test_threads_that_ask_at_once_open_a_program_once(opened: list[Program]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(load_program, [numbered(0)] * 8))
    assert len(opened) == 1
    assert all(evaluator is found[0] for evaluator in found)


def test_the_program_that_rested_longest_is_dropped(opened: list[Program]) -> None:
    for number in range(MAX_LOADED):
        load_program(numbered(number))
    load_program(numbered(0))
    load_program(numbered(MAX_LOADED))
    load_program(numbered(0))
    assert len(opened) == MAX_LOADED + 1
    load_program(numbered(1))
    assert len(opened) == MAX_LOADED + 2
