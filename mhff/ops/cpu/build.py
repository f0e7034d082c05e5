"""Compiles libraries of kernels with the machine's C++ compiler, each one once.

A library's name is a checksum of everything it depends on, and it ends with a checksum of itself
(loaders ignore what follows the last section). A damaged file is compiled again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from mhff.errors import MHFFError
from mhff.files import sha256
from mhff.ops.cpu.code import CpuTarget, includes, program_code, program_units
from mhff.ops.cpu.levels import NATIVE
from mhff.ops.cpu.requirements import COMPILER, STABLE_TORCH
from mhff.ops.shapes import Shape
from mhff.workers import n_cores

HEADERS = Path(__file__).parent / "include"
CHANNEL_MULTIPLE = 8
"""The number of channels must be a multiple of this."""
FLAGS = (
    "-std=c++20",
    "-O3",
    "-fPIC",
    "-fno-math-errno",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
)
CHECKSUM_BYTES = 64
BUILD_FOLDER_PREFIX = "build-"
MAX_BUILD_SECONDS = 3600
"""The folder of an older build belongs to a process that was killed."""


class CompilerError(RuntimeError):
    """The compiler's first complaint."""


def why_not(channels: Iterable[int]) -> str:
    """Why no kernels can be compiled here for these channels, as "because ...", or ""."""
    if shutil.which(COMPILER) is None:
        return f"because there is no C++ compiler (Debian: apt-get install {COMPILER})"
    if any(count % CHANNEL_MULTIPLE for count in channels):
        return f"because the model's numbers of channels are not multiples of {CHANNEL_MULTIPLE}"
    return ""


def build(
    shapes: Mapping[str, Shape],
    dtype: torch.dtype,
    folder: Path,
    level: str = NATIVE,
    say: Callable[[str], None] = lambda step: None,
) -> tuple[Path, str]:
    """Shared library with the shapes' operators, and the operators' namespace.

    It is compiled, which `say` announces, unless `folder` has it. `level`: see `levels.py`. Raises
    CompilerError if the compiler fails, and MHFFError where `folder` cannot be written to.
    """
    libraries, namespace = build_levels(shapes, dtype, folder, (level,), say)
    return libraries[level], namespace


def build_levels(
    shapes: Mapping[str, Shape],
    dtype: torch.dtype,
    folder: Path,
    levels: Sequence[str],
    say: Callable[[str], None] = lambda step: None,
) -> tuple[dict[str, Path], str]:
    """A library for each level, and their one namespace; a process loads one of them."""
    compilations = {level: _compilation(level, dtype) for level in levels}
    headers = "".join(path.read_text() for path in _headers(shapes))
    content = [headers]
    for compilation in compilations.values():
        content += [program_code(shapes, compilation.target, ""), compilation.macros]
        content += compilation.flags
    namespace = "mhff_" + sha256("\0".join(content).encode())[:16]
    libraries: dict[str, Path] = {}
    try:
        for level, compilation in compilations.items():
            name = namespace if len(levels) == 1 else f"{namespace}-{level}"
            libraries[level] = folder / f"{name}.so"
            if not _is_intact(libraries[level]):
                folder.mkdir(parents=True, exist_ok=True)
                _remove_abandoned_builds(folder)
                say("compiling kernels" + (f" for {level}" if len(levels) > 1 else ""))
                units = program_units(shapes, compilation.target, namespace)
                _compile(units, libraries[level], [COMPILER, *compilation.flags])
    except OSError as error:
        raise MHFFError(
            f"cannot write kernels to '{folder}' ({error.strerror}); set XDG_CACHE_HOME to a "
            "folder that you can write to"
        ) from error
    return libraries, namespace


class Compilation(NamedTuple):
    """How a library is compiled for a level."""

    target: CpuTarget
    flags: tuple[str, ...]
    macros: str
    """The compiler's own, which say what `native` means on this machine."""


def _compilation(level: str, dtype: torch.dtype) -> Compilation:
    flags: tuple[str, ...] = (*FLAGS, f"-march={level}", *_interface_of_torch())
    macros = _run([COMPILER, f"-march={level}", "-dM", "-E", "-x", "c++", os.devnull])
    vector_bytes = _vector_bytes(macros)
    if vector_bytes == 64:
        flags += ("-mprefer-vector-width=512",)
    return Compilation(CpuTarget(dtype, vector_bytes), flags, macros)


def _headers(shapes: Mapping[str, Shape]) -> list[Path]:
    """Headers that a library depends on: all in the folders of those that its code includes."""
    folders = dict.fromkeys((HEADERS / name).parent for name in includes(shapes))
    return [path for folder in folders for path in sorted(folder.glob("*.h"))]


def _vector_bytes(macros: str) -> int:
    """Size of a vector register, from the compiler's macros."""
    for macro, size in (("__AVX512F__", 64), ("__AVX2__", 32)):
        if macro in macros:
            return size
    return 16


def _interface_of_torch() -> tuple[str, ...]:
    """Flags for the interface of torch that the library uses (`include/tensors.h`)."""
    if tuple(map(int, torch.__version__.split(".")[:2])) >= STABLE_TORCH:
        major, minor = STABLE_TORCH
        return (f"-DTORCH_TARGET_VERSION=0x{major:02x}{minor:02x}000000000000",)
    # torch's threads are templates here; the version makes the library's name that of this torch
    return ("-fopenmp", f'-DMHFF_TORCH_VERSION="{torch.__version__}"')


def _is_intact(library: Path) -> bool:
    """Whether a library is there and ends with the checksum of what precedes."""
    if not library.is_file():
        return False
    content = library.read_bytes()
    code, checksum = content[:-CHECKSUM_BYTES], content[-CHECKSUM_BYTES:]
    return checksum == sha256(code).encode()


def _remove_abandoned_builds(folder: Path) -> None:
    """Remove the folders of killed processes."""
    for path in folder.glob(f"{BUILD_FOLDER_PREFIX}*"):
        with suppress(FileNotFoundError):  # another process may be faster
            if time.time() - path.stat().st_mtime > MAX_BUILD_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _compile(units: Sequence[str], library: Path, command: Sequence[str]) -> None:
    """Compile files, on as many cores as there are, and link them."""
    torch_folder = Path(torch.__file__).parent
    include = [f"-I{HEADERS}", f"-I{torch_folder / 'include'}"]
    link = [f"-L{torch_folder / 'lib'}", "-ltorch_cpu", "-lc10"]

    def compiled(source: Path) -> str:
        made = source.with_suffix(".o")
        _run([*command, *include, "-c", str(source), "-o", str(made)])
        return str(made)

    with tempfile.TemporaryDirectory(prefix=BUILD_FOLDER_PREFIX, dir=library.parent) as folder:
        sources = [Path(folder) / f"unit-{number}.cpp" for number in range(len(units))]
        for source, code in zip(sources, units, strict=True):
            source.write_text(code)
        with ThreadPoolExecutor(n_cores()) as cores:
            objects = list(cores.map(compiled, sources))
        made = Path(folder) / "program.so"
        _run([*command, "-shared", *objects, "-o", str(made), *link])
        with made.open("ab") as file:
            file.write(sha256(made.read_bytes()).encode())
        made.replace(library)  # in one step, so that another process never loads half a library


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip()[:200] or f"it ended with code {done.returncode} and said nothing"
        first = next((line for line in done.stderr.splitlines() if "error" in line), said)
        raise CompilerError(f"{command[0]}: {first[:300]}")
    return done.stdout
