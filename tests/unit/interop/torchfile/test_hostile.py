"""Damaged and hostile files are refused in one sentence, at once; nothing in them is run."""

from __future__ import annotations

import pickle
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hostile import confusion, mutations, noise
from hostile_calls import live_calls
from stand_in import KIND, saved, stand_in_model

from mhff.interop.torchfile.archive import read_content
from mhff.interop.torchfile.modules import ModuleRecord, read_model
from mhff.interop.torchfile.refusals import RefusedError

MAX_SECONDS = 20.0
"""Seconds of CPU time after which a file counts as hanging; the slowest takes half of one."""
MAX_MEMORY = 150_000
"""KiB that reading a file may take; the largest of them has two megabytes."""


def read(path: Path) -> ModuleRecord:
    """The model in a file."""
    return read_model(read_content(path), KIND)


@contextmanager
def limited(name: str) -> Iterator[None]:
    """Fail instead of hanging; counts CPU time, which other processes do not change."""

    def ring(*_: object) -> None:
        raise AssertionError(f"'{name}' takes longer than {MAX_SECONDS} s")

    previous = signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


def assert_one_sentence(sentence: str, path: Path) -> None:
    assert sentence.isprintable(), sentence
    assert len(sentence) < 350 + len(str(path))
    assert str(path) in sentence
    assert "Traceback" not in sentence
    assert sentence.count(". ") == 0


def memory(field: str) -> int:
    """A field of the process's status, KiB: VmRSS now, VmHWM at its peak."""
    return int(Path("/proc/self/status").read_text().partition(f"{field}:")[2].split()[0])


def refusal(path: Path, name: str) -> RefusedError | None:
    """The refusal of a file within limits of time and memory, or None if it is read."""
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, refused = memory("VmRSS"), None
    with limited(name):
        try:
            read(path)
        except RefusedError as error:
            assert_one_sentence(error.sentence(str(path)), path)
            refused = error
    assert memory("VmHWM") - before < MAX_MEMORY, f"'{name}' takes too much memory"
    return refused


@pytest.mark.parametrize("protocol", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_mutations_are_refused(tmp_path: Path, protocol: int) -> None:
    path, canary = tmp_path / "x.model", tmp_path / "canary"
    content = saved(stand_in_model(), pickle_protocol=protocol)
    path.write_bytes(content)
    read(path)
    imported, count = set(sys.modules), 0
    for name, mutated in mutations(content, canary):
        path.write_bytes(mutated)
        assert refusal(path, name), f"'{name}' is read"
        assert not canary.exists(), f"'{name}' was run"
        count += 1
    assert count >= 500
    assert set(sys.modules) == imported


@pytest.mark.slow
def test_noise_is_refused_or_read(tmp_path: Path) -> None:
    path, content = tmp_path / "x.model", saved(stand_in_model())
    imported, refused, count = set(sys.modules), 0, 1500
    for name, mutated in noise(content, count):
        path.write_bytes(mutated)
        refused += refusal(path, name) is not None
    assert count * 0.9 < refused < count
    assert set(sys.modules) == imported


@pytest.mark.slow
def test_confusion_is_refused_or_read(tmp_path: Path) -> None:
    path, content = tmp_path / "x.model", saved(stand_in_model())
    imported, refused, count = set(sys.modules), 0, 1500
    for name, mutated in confusion(content, count):
        path.write_bytes(mutated)
        refused += refusal(path, name) is not None
    assert count * 0.3 < refused < count
    assert set(sys.modules) == imported


def test_the_calls_are_alive(tmp_path: Path) -> None:
    """What the mutations plant does run where a pickle is loaded."""
    ran, canary = set(), tmp_path / "canary"
    for name, opcodes in live_calls(canary):
        with suppress(
            pickle.UnpicklingError, AttributeError, TypeError, ImportError
        ):  # of Python 2; or failed after it ran
            pickle.loads(b"\x80\x04" + opcodes + b".")
        if canary.exists():
            ran.add(name)
            canary.unlink()
    assert len(ran) >= 15, ran


def test_reading_is_fast(tmp_path: Path) -> None:
    path = tmp_path / "x.model"
    path.write_bytes(saved(stand_in_model()))
    start = time.process_time()
    read(path)
    assert time.process_time() - start < 1
