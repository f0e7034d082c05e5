"""The kinds of files that a user may give as a model, and the one place that reads them.

The core knows model files (`.mhff`). Components contribute other kinds through the entry-point
group `mhff.files`, each an object with the interface `FileKind`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

from rich.console import RenderableType

from mhff.capabilities import Capabilities
from mhff.errors import MHFFError, NoCompilerError, listing
from mhff.evaluator import Evaluator
from mhff.files import read_file
from mhff.model.network import Network
from mhff.modelfile import Model, model_path
from mhff.options import CompileOptions
from mhff.tensorfile import looks_like_tensors

GROUP = "mhff.files"
MODEL_FILES = ".mhff model files"
Say = Callable[[str], None]
"""Called with a description of each step of a long task as it begins."""


@dataclass(frozen=True)
class SourceFile:
    """The content of a file, read once, so that the bytes checked are the bytes used."""

    path: Path
    content: bytes

    @property
    def name(self) -> str:
        """The path, for messages."""
        return str(self.path)

    @property
    def is_model(self) -> bool:
        """Whether it looks like safetensors, as `.mhff` files do: 8 bytes of length, then JSON."""
        return looks_like_tensors(self.content)


@dataclass(frozen=True)
class Description:
    """A description of a file, in two forms."""

    summary: dict[str, Any]
    """A JSON object, for programs."""
    shown: RenderableType
    """Tables for a terminal, for people."""


class FileKind(Protocol):
    """A kind of compiled file."""

    name: str
    """A noun in the plural, for messages."""

    def recognises(self, content: bytes) -> bool:
        """Whether a file is of this kind, damaged or not."""
        ...

    def capabilities(self, file: SourceFile) -> Capabilities:
        """Capabilities of the program in the file; nothing is run."""
        ...

    def describe(self, file: SourceFile) -> Description:
        """The description that `mhff info` shows; nothing is run."""
        ...

    def open(self, file: SourceFile, options: CompileOptions) -> Evaluator:
        """The program as an evaluator; raises MHFFError if it does not fit `options`."""
        ...


class Compiler(Protocol):
    """The kind of file that models are compiled to, and the cache of such files."""

    def find(self, model: Model, options: CompileOptions, used: Sequence[str]) -> Path | None:
        """The program in the cache, or None; it knows at least the elements `used`."""
        ...

    def compile(self, model: Model, options: CompileOptions, used: Sequence[str], say: Say) -> Path:
        """The program in the cache, compiled now if need be; NoCompilerError if none can be."""
        ...

    def open(self, file: SourceFile, options: CompileOptions) -> Evaluator:
        """See `FileKind.open`."""
        ...

    def twice_differentiable(self, model: Model, used: Sequence[str], say: Say) -> Network:
        """A fast network with second derivatives, for CPUs in float64 and for these elements.

        Raises MHFFError if this model cannot have one here.
        """
        ...


COMPILED = "artefacts"
"""Entry point of the kind of file that is also a `Compiler`."""


def read_source(name: str | os.PathLike[str]) -> SourceFile:
    """Read a model, an artefact or a bundled model; raises MHFFError if there is no such file."""
    path = model_path(name)
    return SourceFile(path, read_file(path))


def kind_of(file: SourceFile) -> FileKind:
    """The kind of a compiled file; raises MHFFError for a file that is of no known kind."""
    kinds: list[FileKind] = [entry.load() for entry in entry_points(group=GROUP)]
    for kind in kinds:
        if kind.recognises(file.content):
            return kind
    known = listing([MODEL_FILES, *sorted(kind.name for kind in kinds)])
    raise MHFFError(f"'{file.name}' is not an mhff file; expected one of: {known}")


def compiler() -> Compiler:
    """The compiler of models; raises NoCompilerError if its component is not installed."""
    found = entry_points(group=GROUP, name=COMPILED)
    if not found:
        raise NoCompilerError(
            "compiling needs the component mhff_deploy, which is not installed; reinstall mhff"
        )
    (entry,) = found
    chosen: Compiler = entry.load()
    return chosen
