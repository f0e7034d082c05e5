"""Compiled programs as callables: AOTInductor packages and TorchScript, with their kernels."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from mhff.errors import MHFFError
from mhff.ops import contraction, convolution, ghosts  # noqa: F401  (programs call what these register)
from mhff.ops.cpu.levels import best
from mhff.ops.cpu.library import load_library
from mhff.options import Form
from mhff_deploy.artefact.constants import read_constants
from mhff_deploy.artefact.content import (
    CONSTANTS,
    KERNELS,
    RADIAL,
    TABLES,
    Manifest,
    library_name,
    read_member,
)
from mhff_deploy.artefact.cuda_graphs import GraphedProgram, Program

NAME = "model"
"""torch's name for the only program of a package."""
N_RUNNERS = 1
"""Calls that may run at the same time."""
NO_INDEX = -1
"""torch's word for the current device."""


@dataclass(frozen=True)
class Parts:
    """The parts of a program, beside its manifest."""

    code: bytes
    """The compiler's own file; an artefact is one, too."""
    kernels: Mapping[str, bytes]
    """Shared libraries by the level of processors that they are for, ascending; none without."""
    constants: bytes
    """See `mhff_deploy.artefact.constants`."""
    radial: bytes | None = None
    """Radial networks of a program that takes tables as inputs (`artefact.tables`)."""
    tables: bytes | None = None
    """Tables for all elements, if they are small."""

    @property
    def members(self) -> dict[str, bytes]:
        """The members that an artefact adds to the code, by name."""
        libraries = {KERNELS.format(level): library for level, library in self.kernels.items()}
        others = {CONSTANTS: self.constants, RADIAL: self.radial, TABLES: self.tables}
        there = {name: content for name, content in others.items() if content is not None}
        return libraries | there


def parts_of(content: bytes, manifest: Manifest) -> Parts:
    """The parts in an artefact's content."""
    levels = manifest.options.isa.levels if manifest.kernels else ()
    kernels = {level: read_member(content, KERNELS.format(level)) for level in levels}
    radial = read_member(content, RADIAL) if manifest.tables.are_inputs else None
    tables = read_member(content, TABLES) if manifest.tables.stored else None
    return Parts(content, kernels, read_member(content, CONSTANTS), radial, tables)


def start_program(parts: Parts, manifest: Manifest, name: str) -> Program:
    """A program ready to be called; raises MHFFError if this machine cannot load it."""
    device = torch.device(manifest.capabilities.device)
    try:
        if parts.kernels:
            load_kernels(parts.kernels[best(tuple(parts.kernels))], manifest.kernels)
        constants = read_constants(parts.constants).made(manifest.kernels, device)
        if manifest.form is Form.TORCHSCRIPT:
            return load_script(parts.code, constants)
        package = Package(parts.code, constants, device)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise MHFFError(
            f"'{name}' cannot be loaded on this machine ({reason}); recompile it here"
        ) from error
    except OSError as error:
        raise MHFFError(
            f"'{name}' cannot be loaded ({error.strerror or error}); make room in the temporary "
            f"folder {tempfile.gettempdir()}"
        ) from error
    if device.type == "cuda":
        return GraphedProgram(package, manifest.capabilities.r_max)
    return package


class Package:
    """An AOTInductor package with the constants that lie beside it.

    torch's own function to load a package first compiles and runs a program for each instruction
    set that the CPU may have, only to warn of another CPU, which the manifest has told already.
    That takes 12 s on a fresh machine, and 42 to 60 s were seen. So the loader is made here.
    """

    def __init__(
        self, code: bytes, constants: Mapping[str, torch.Tensor], device: torch.device
    ) -> None:
        """Raises RuntimeError for a package that does not fit this machine."""
        # the events by which threads wait for each other cannot be part of a CUDA graph; on a GPU,
        # one thread at a time
        single_threaded = device.type == "cuda"
        index = NO_INDEX if device.index is None else device.index
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "program.pt2"
            file.write_bytes(code)
            loader = torch._C._aoti.AOTIModelPackageLoader(
                str(file), NAME, single_threaded, N_RUNNERS, index
            )
        # kept, because the program does not copy them
        self.constants = {name: constants[name] for name in loader.get_constant_fqns()}
        # not by torch's class for it, whose module takes a second to import
        inactive, all_of_them, user_managed = False, True, True
        loader.load_constants(self.constants, inactive, all_of_them, user_managed)
        self._run = loader.boxed_run

    def __call__(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        node_energies, edge_gradients = self._run([*inputs])
        return node_energies, edge_gradients


def load_script(code: bytes, constants: Mapping[str, torch.Tensor]) -> Program:
    """A TorchScript program; raises RuntimeError for one that does not fit this machine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; openmm-torch needs it
        script = torch.jit.load(io.BytesIO(code))
    for name, value in constants.items():
        setattr(script, name, value)
    return script


def load_kernels(library: bytes, namespace: str) -> None:
    """Load a shared library, unless a program with the same kernels was loaded before."""
    with tempfile.TemporaryDirectory() as folder:  # a loaded library does not need its file
        file = Path(folder) / library_name(namespace)
        file.write_bytes(library)
        load_library(file, namespace)
