"""Running artefacts: a compiled program as an `mhff.evaluator.Evaluator`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from mhff.errors import MHFFError
from mhff.evaluator import Evaluator
from mhff.filekinds import SourceFile, kind_of, read_source
from mhff.files import sha256
from mhff.graph import Graph, program_inputs
from mhff.ops.cpu.library import release_memory_with
from mhff.ops.lists import ListOperators, library_list_operators
from mhff.ops.pairs import PairOperators, library_operators
from mhff.options import CompileOptions
from mhff_deploy.artefact.compatibility import check_manifest
from mhff_deploy.artefact.content import Manifest, read_manifest
from mhff_deploy.artefact.cuda_graphs import Program
from mhff_deploy.artefact.programs import Parts, parts_of, start_program
from mhff_deploy.artefact.tables import ProgramTables
from mhff_deploy.artefact.threads import Threads


class ArtefactEvaluator(Evaluator):
    """A compiled program with its manifest."""

    def __init__(
        self,
        program: Program,
        manifest: Manifest,
        tables: ProgramTables | None = None,
        file: SourceFile | None = None,
    ) -> None:
        """`tables`: of a program that takes some as inputs.

        `file`: where the program came from, so that another process can open it.
        """
        self.program = program
        self.tables = tables
        self.manifest = manifest
        self.capabilities = manifest.capabilities
        self.device = torch.device(self.capabilities.device)
        self.dtype = self.capabilities.dtype
        self._origin = None if file is None else (file.path.absolute(), sha256(file.content))
        # AOTInductor's runner would make a second thread wait while it holds Python's lock, which
        # the first thread's ghost exchange needs
        self._one_at_a_time = threading.Lock()
        self._threads = Threads()
        self._list_operators = super().list_operators()
        if manifest.kernels and self.device.type == "cpu":
            self._list_operators = library_list_operators(manifest.kernels)

    def __reduce__(self) -> tuple[Callable[..., Evaluator], tuple[Any, ...]]:
        """Another process opens the file again.

        Raises MHFFError for a program that came from no file.
        """
        if self._origin is None:
            raise MHFFError(
                "a compiled program that was not opened from a file cannot be sent to another "
                "process; open it there"
            )
        return reopen_artefact, (*self._origin, self.capabilities.device)

    def list_operators(self) -> ListOperators:
        """See `Evaluator.list_operators`."""
        return self._list_operators

    def evaluate(
        self, graph: Graph, head_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Evaluator.evaluate`."""
        self.check(graph, head_weights)
        inputs = program_inputs(graph, head_weights, self.device, self.dtype)
        with self._one_at_a_time, torch.no_grad(), torch._C._AutoDispatchBelowAutograd():
            # kernels' derivatives are registered in Python, and torch would ask them at every call
            tables = () if self.tables is None else self.tables.of(graph.species)
            with self._chosen_threads(graph):
                return self.program(*inputs, *tables)

    def _chosen_threads(self, graph: Graph) -> AbstractContextManager[None]:
        """The threads for a graph; a GPU's program returns before it has computed anything."""
        if self.device.type != "cpu":
            return nullcontext()
        return self._threads.for_pairs(graph.edge_index.shape[1])

    def prepare(self, symbols: Sequence[str]) -> None:
        """Make tables now for structures of these elements; see `Evaluator.prepare`."""
        if self.tables is None:
            return
        with self._one_at_a_time:
            elements = self.capabilities.elements
            # an evaluation refuses elements that the program lacks
            self.tables.add(elements.index(symbol) for symbol in symbols if symbol in elements)

    def pair_operators(self, device: torch.device) -> PairOperators:
        """See `Evaluator.pair_operators`."""
        if self.manifest.kernels and device == self.device == torch.device("cpu"):
            return library_operators(self.manifest.kernels)
        return super().pair_operators(device)


def open_artefact(file: SourceFile, asked: CompileOptions) -> ArtefactEvaluator:
    """Evaluator of an artefact file.

    Raises MHFFError if it is damaged, was made with another torch, or does not fit the device or
    precision requested.
    """
    return load_artefact(file.content, file.name, asked, file)


def reopen_artefact(path: Path, checksum: str, device: str) -> Evaluator:
    """Evaluator of a file that was opened before; raises MHFFError if it has changed since."""
    file = read_source(path)
    if sha256(file.content) != checksum:
        raise MHFFError(
            f"'{path}' has changed since it was opened: another program was written there; open it "
            "again, or put the old file back"
        )
    return kind_of(file).open(file, CompileOptions(device=device))


def load_artefact(
    content: bytes,
    name: str,
    asked: CompileOptions | None = None,
    file: SourceFile | None = None,
) -> ArtefactEvaluator:
    """Evaluator of an artefact's content, on the GPU that is asked for; `name` is for messages."""
    manifest = read_manifest(content, name)
    check_manifest(manifest, name, asked)
    if asked is not None:
        manifest = manifest.on(asked.device)
    return run_parts(parts_of(content, manifest), manifest, name, file)


def run_parts(
    parts: Parts, manifest: Manifest, name: str, file: SourceFile | None = None
) -> ArtefactEvaluator:
    """Evaluator of a program in parts."""
    program = start_program(parts, manifest, name)
    tables = None
    if parts.radial is not None:
        tables = ProgramTables(program, manifest, parts.radial, parts.tables)
    evaluator = ArtefactEvaluator(program, manifest, tables, file)
    if manifest.kernels:
        release_memory_with(evaluator, manifest.kernels)
    return evaluator
