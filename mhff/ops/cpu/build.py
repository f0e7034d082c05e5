"""Compiles programs' operators with the machine's C++ compiler, once for each content."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch

from mhff.errors import MHFFError
from mhff.files import sha256
from mhff.ops.cpu.parts import Part, Target, program_code

SOURCES = Path(__file__).parent / "include"
OLDEST_TORCH = (2, 11)
"""The first version whose stable interface, which kernels are registered through, has tensors of
given memory.
"""
CHANNELS_AT_ONCE = 8
"""Kernels want numbers of channels that are multiples of this."""
FLAGS = (
    "-std=c++20",
    "-O3",
    "-fPIC",
    "-shared",
    "-fno-math-errno",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
)
NATIVE = "native"
COMPILER = "g++"


class CompilerError(RuntimeError):
    """The compiler's first complaint."""


def why_not(channels: Iterable[int]) -> str:
    """Why kernels for these numbers of channels cannot be compiled here, as "because ..."; empty if
    they can.
    """
    if tuple(map(int, torch.__version__.split(".")[:2])) < OLDEST_TORCH:
        return (
            f"because torch {torch.__version__} is older than "
            f"{'.'.join(map(str, OLDEST_TORCH))}, which kernels need"
        )
    if shutil.which(COMPILER) is None:
        return f"because there is no C++ compiler (Debian: apt-get install {COMPILER})"
    if any(count % CHANNELS_AT_ONCE for count in channels):
        return f"because the model's numbers of channels are not multiples of {CHANNELS_AT_ONCE}"
    return ""


def build(
    parts: Mapping[str, Part], dtype: torch.dtype, folder: Path, march: str = NATIVE
) -> tuple[Path, str]:
    """Shared library with the parts' operators, compiled unless `folder` has it, and the operators'
    namespace.

    `march` is the compiler's name of a processor: `native`, or `x86-64-v3` for any with AVX2.
    Raises CompilerError where the compiler fails, and MHFFError where `folder` cannot be written
    to.
    """
    flags: tuple[str, ...] = (
        *FLAGS,
        f"-march={march}",
        f"-DTORCH_TARGET_VERSION={_target_version()}",
    )
    macros = _run([COMPILER, f"-march={march}", "-dM", "-E", "-x", "c++", os.devnull])
    vector_bytes = 64 if "__AVX512F__" in macros else 32 if "__AVX2__" in macros else 16
    if vector_bytes == 64:
        flags += ("-mprefer-vector-width=512",)
    target = Target(dtype, vector_bytes)
    headers = "".join(path.read_text() for path in sorted(SOURCES.glob("*.h")))
    content = "\0".join([program_code(parts, target, ""), headers, macros, *flags])
    namespace = "mhff_" + sha256(content.encode())[:16]
    library = folder / f"{namespace}.so"
    try:
        if not library.exists():
            folder.mkdir(parents=True, exist_ok=True)
            _compile(program_code(parts, target, namespace), library, [COMPILER, *flags])
    except OSError as error:
        place = (
            f"'{folder}' ({error.strerror}); set XDG_CACHE_HOME to a folder that you can write to"
        )
        raise MHFFError(f"cannot write kernels to {place}") from error
    return library, namespace


def _target_version() -> str:
    """`OLDEST_TORCH` as torch's headers want it."""
    major, minor = OLDEST_TORCH
    return f"0x{major:02x}{minor:02x}000000000000"


def _compile(code: str, library: Path, command: list[str]) -> None:
    torch_folder = Path(torch.__file__).parent
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        source, made = Path(folder) / "program.cpp", Path(folder) / "program.so"
        source.write_text(code)
        include = [f"-I{SOURCES}", f"-I{torch_folder / 'include'}"]
        _run(
            [
                *command,
                *include,
                str(source),
                "-o",
                str(made),
                f"-L{torch_folder / 'lib'}",
                "-ltorch_cpu",
            ]
        )
        made.rename(library)  # in one step, so that another process never loads half a library


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip()[:200] or f"it ended with code {done.returncode} and said nothing"
        first = next((line for line in done.stderr.splitlines() if "error" in line), said)
        raise CompilerError(f"{command[0]}: {first[:300]}")
    return done.stdout
