"""Generated Triton modules: writing, loading, and the sizes of their programs."""

from __future__ import annotations

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch

from mhff.errors import MHFFError
from mhff.files import sha256, write_atomically

WARP_SIZE = 32
"""Threads of a warp."""
MAX_REGISTERS = 64
"""Registers for all rows that a convolution's program sums.

With more (l_max 4, features to 2e) some are spilled to memory.
"""
REGISTERS = 4
"""Registers of a thread for a row's channels in a convolution: 4 channels in float32, 2 in float64.

With fewer registers there are more and smaller programs, which fills a GPU with fewer atoms, but
they repeat the work of each edge.
"""
TYPES = {torch.float32: "tl.float32", torch.float64: "tl.float64"}
HEADER = '"""Written by mhff."""\n\nimport triton\nimport triton.language as tl\n'
JIT = '@triton.jit(do_not_specialize=["n_local", "n_all", "n_edges", "n_species", "n_atoms"])\n'
"""Decorator of a kernel: compiled once, not again for sizes that happen to be multiples of 16."""


def tile_of(registers: int, n_channels: int, dtype: torch.dtype) -> int:
    """Channels of one program, a power of 2 that divides the number of channels if possible."""
    most = WARP_SIZE * registers * 4 // dtype.itemsize
    tile = power_of_2(n_channels)
    while tile > most or (n_channels > most and n_channels % tile and tile > WARP_SIZE):
        tile //= 2
    return tile


def power_of_2(n: int) -> int:
    """The smallest power of 2 that is n or more."""
    return 1 << (n - 1).bit_length()


def why_not() -> str:
    """Why no Triton kernels can be made here, as "because ...", or ""."""
    if find_spec("triton"):
        return ""
    return "because the package triton is not installed (pip install triton)"


def load(code: str, folder: Path) -> ModuleType:
    """Module with this code, kept in a file of its own, because Triton reads kernels from files.

    Raises MHFFError if there is no Triton.
    """
    if reason := why_not():
        raise MHFFError(f"no kernels for a GPU can be made, {reason}")
    code = HEADER + code
    name = "mhff_triton_" + sha256(code.encode())[:16]
    file = folder / f"{name}.py"
    if not file.is_file() or file.read_bytes() != code.encode():  # missing or damaged
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, code.encode())
    specification = spec_from_file_location(name, file)
    if specification is None or specification.loader is None:
        raise RuntimeError(f"{file} is not a Python module")
    module = module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def indented(lines: list[str], depth: int) -> list[str]:
    """Lines of a block inside `depth` others."""
    return ["    " * depth + line for line in lines]
