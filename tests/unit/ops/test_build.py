"""Libraries in the cache: made once, made again when damaged, and nothing left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest
import torch

from mhff.files import kernel_folder
from mhff.ops.cpu import build as build_module
from mhff.ops.cpu.build import (
    BUILD_FOLDER_PREFIX,
    COMPILER,
    HEADERS,
    MAX_BUILD_SECONDS,
    CompilerError,
    build,
    start_build,
)
from mhff.ops.gpu import module as triton_module


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A library without shapes, in a cache of its own."""
    made, _ = build({}, torch.float32, kernel_folder())
    return Path(shutil.copy(made, tmp_path))


def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Libraries that are compiled from now on; the compiler is not started."""
    compiled: list[Path] = []
    monkeypatch.setattr(
        build_module, "_compile", lambda code, library, *others: compiled.append(library)
    )
    return compiled


def test_a_whole_library_is_not_compiled_again(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled = compilations(monkeypatch)
    assert build({}, torch.float32, library.parent)[0] == library
    assert compiled == []


@pytest.mark.parametrize("damage", ["empty", "cut off", "one byte"])
def test_a_damaged_library_is_compiled_again(
    damage: str, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytearray(library.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 1
    damaged = {"empty": b"", "cut off": content[:middle], "one byte": content}
    library.write_bytes(damaged[damage])
    compiled = compilations(monkeypatch)
    build({}, torch.float32, library.parent)
    assert compiled == [library]


def test_the_caller_goes_on_while_a_library_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller_went_on = threading.Event()
    compiled: list[bool] = []
    monkeypatch.setattr(build_module, "_compile", lambda *_: compiled.append(caller_went_on.wait()))
    building = start_build({}, torch.float32, tmp_path, ("native",))
    assert compiled == []
    caller_went_on.set()
    assert building.libraries() == {"native": tmp_path / f"{building.namespace}.so"}
    assert compiled == [True]


def test_what_the_compiler_complains_of_is_raised_to_who_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise CompilerError("g++: error: no")

    monkeypatch.setattr(build_module, "_compile", fail)
    building = start_build({}, torch.float32, tmp_path, ("native",))
    with pytest.raises(CompilerError, match="error: no"):
        building.libraries()


def test_an_older_torch_gets_a_library_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compilations(monkeypatch)
    names = set()
    for version in ("2.9.1+cu128", "2.10.0", "2.11.0", "2.13.0+cpu"):
        monkeypatch.setattr(torch, "__version__", version)
        names.add(build({}, torch.float32, tmp_path)[1])
    assert len(names) == 3  # the stable interface serves all versions from 2.11 on


def test_folders_of_killed_builds_are_removed(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (library.parent / f"{BUILD_FOLDER_PREFIX}{name}" for name in ("old", "new"))
    for folder in (old, new):
        folder.mkdir()
        (folder / "program.cpp").touch()
    long_ago = time.time() - MAX_BUILD_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    library.unlink()
    compilations(monkeypatch)
    build({}, torch.float32, library.parent)
    assert not old.exists()
    assert new.exists()  # another process may be compiling


def test_a_damaged_triton_module_is_written_again(tmp_path: Path) -> None:
    pytest.importorskip("triton")
    module = triton_module.load("VALUE = 1\n", tmp_path)
    Path(str(module.__file__)).write_text("VALUE = 2\n")
    assert triton_module.load("VALUE = 1\n", tmp_path).VALUE == 1


SHAPE = """
#include "geometry.h"
struct Shape {
  using Real = float;
  static constexpr int lanes = 4, register_lanes = 4, l_max = 1MEMBERS;
};
template struct mhff::Geometry<Shape>;
"""


def compiled(members: str, folder: Path) -> subprocess.CompletedProcess[str]:
    source = folder / "shape.cpp"
    source.write_text(SHAPE.replace("MEMBERS", members))
    command = [COMPILER, "-std=c++20", "-fsyntax-only", f"-I{HEADERS}", str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_shape_that_lacks_something_is_refused_by_its_concept(tmp_path: Path) -> None:
    recursion = ", n_recursion = 0; static constexpr mhff::RecursionTerm recursion[] = {{}}"
    assert compiled(recursion, tmp_path).returncode == 0
    complaint = compiled("", tmp_path).stderr
    assert "constraint failure" in complaint
    assert "GeometryShape" in complaint
    assert "recursion" in complaint
