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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
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


class Building:
    """Libraries that are there, or are being compiled on other cores."""

    def __init__(self, namespace: str, libraries: Mapping[str, Path]) -> None:
        self.namespace = namespace
        """That of the operators of all libraries; a process loads one of them."""
        self._libraries = dict(libraries)
        self._compiling: Future[None] | None = None

    def start(self, compiling: Callable[[], None]) -> None:
        """Compile what is not there, beside whatever this process does."""
        executor = ThreadPoolExecutor(1)
        self._compiling = executor.submit(compiling)
        executor.shutdown(wait=False)

    def libraries(self) -> dict[str, Path]:
        """Each level's library, once all are there.

        Raises CompilerError if the compiler fails, and MHFFError where the folder cannot be written
        to.
        """
        if self._compiling is not None:
            self._compiling.result()
        return self._libraries


def build(
    shapes: Mapping[str, Shape],
    dtype: torch.dtype,
    folder: Path,
    level: str = NATIVE,
    say: Callable[[str], None] = lambda step: None,
) -> tuple[Path, str]:
    """Shared library with the shapes' operators, and the operators' namespace.

    It is compiled, which `say` announces, unless `folder` has it. `level`: see `levels.py`; what is
    raised: see `Building.libraries`.
    """
    building = start_build(shapes, dtype, folder, (level,), say, n_cores())
    return building.libraries()[level], building.namespace


def start_build(
    shapes: Mapping[str, Shape],
    dtype: torch.dtype,
    folder: Path,
    levels: Sequence[str],
    say: Callable[[str], None] = lambda step: None,
    cores: int | None = None,
) -> Building:
    """A library for each level, compiled while the caller goes on, unless `folder` has it.

    `cores`: how many compilers run side by side; by default one is left to the caller.
    """
    n_compilers = cores or max(1, n_cores() - 1)
    compilations = {level: _compilation(level, dtype) for level in levels}
    namespace = _namespace(shapes, list(compilations.values()))
    of_level = "{}" if len(levels) == 1 else "{}-{}"
    libraries = {level: folder / f"{of_level.format(namespace, level)}.so" for level in levels}
    missing = [level for level in levels if not _is_intact(libraries[level])]
    building = Building(namespace, libraries)

    def compile_missing() -> None:
        with _writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned_builds(folder)
            for level in missing:
                target, flags, _ = compilations[level]
                units = program_units(shapes, target, namespace)
                _compile(units, libraries[level], [COMPILER, *flags], n_compilers)

    if missing:
        say("compiling kernels" + (f" for {' and '.join(missing)}" if len(levels) > 1 else ""))
        building.start(compile_missing)
    return building


def _namespace(shapes: Mapping[str, Shape], compilations: Sequence[Compilation]) -> str:
    """A name made of the checksum of all that libraries depend on."""
    content = ["".join(path.read_text() for path in _headers(shapes))]
    for compilation in compilations:
        content += [program_code(shapes, compilation.target, ""), compilation.macros]
        content += compilation.flags
    return "mhff_" + sha256("\0".join(content).encode())[:16]


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """Raises MHFFError if the system refuses to write within."""
    try:
        yield
    except OSError as error:
        raise MHFFError(
            f"cannot write kernels to '{folder}' ({error.strerror}); set XDG_CACHE_HOME to a "
            "folder that you can write to"
        ) from error


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


def _compile(units: Sequence[str], library: Path, command: Sequence[str], n_compilers: int) -> None:
    """Compile files, several side by side, and link them."""
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
        with ThreadPoolExecutor(n_compilers) as compilers:
            objects = list(compilers.map(compiled, sources))
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
