"""The one road from a model to its evaluator.

    open_evaluator(source, options)

takes a path, a bundled model's name, a `Model` or an evaluator. ASE, OpenMM, LAMMPS, the benchmarks
and the command line all come this way.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mhff.capabilities import Capabilities, model_capabilities
from mhff.devices import resolve_device
from mhff.errors import MHFFError, NoCompilerError, TooManyElementsError
from mhff.evaluator import EagerEvaluator, Evaluator, ModelSource
from mhff.filekinds import SourceFile, compiler, kind_of, read_source
from mhff.graph import Graph
from mhff.heads import Heads, OnceOnly
from mhff.model.network import Network
from mhff.modelfile import Model, from_bytes, header_from_bytes
from mhff.ops.lists import ListOperators
from mhff.options import CompileOptions, Form, Precision

logger = logging.getLogger("mhff")

COMPILING = (
    "mhff is compiling the model, once for all later runs on this machine (about a minute; "
    "form='eager' avoids this)"
)
EAGER_WORK = 10_000_000
"""Edges times channels of eager evaluations before a model that is not in the cache is compiled.

They take some five seconds of one core, so a few evaluations never wait for a compiler. Because
work is counted and not time, the switch to the program comes at the same structure on any machine.
"""
EAGER_SECOND = 3
"""Cost of a product with the Hessian in evaluations of the eager model."""


def open_evaluator(
    source: ModelSource | SourceFile | Evaluator, options: CompileOptions | None = None
) -> Evaluator:
    """An evaluator of a model, a model file, a bundled model or a compiled file.

    A model without a precision runs in float64. Without a form it is compiled once it has been
    evaluated a few times, or at once if its program is in the cache. A compiled file has the device
    and precision it was compiled for; raises MHFFError if `options` require others.
    """
    asked = options or CompileOptions()
    if isinstance(source, Evaluator):
        return source
    if not isinstance(source, Model):
        file = source if isinstance(source, SourceFile) else read_source(source)
        if not file.is_model:
            check_form(file, asked)
            return kind_of(file).open(file, asked)
        source = from_bytes(file.content, file.name)
    asked = asked.but(precision=asked.precision or Precision.FLOAT64)
    if asked.form is Form.EAGER:
        return EagerEvaluator(source, asked.device, asked.precision or Precision.FLOAT64)
    return CompilingEvaluator(source, asked)


def check_form(file: SourceFile, asked: CompileOptions) -> None:
    """Raise MHFFError if a form is asked of a compiled file, which has its own."""
    if not file.is_model and asked.form is not None:
        raise MHFFError(
            f"'{file.name}' is not a .mhff model file, and only those are compiled; leave out "
            f"form='{asked.form}'"
        )


def read_capabilities(source: ModelSource | SourceFile | Evaluator) -> Capabilities:
    """Capabilities of a model or a compiled file, from its header; no network is built.

    Raises MHFFError for a file that is damaged or of no known kind.
    """
    if isinstance(source, Evaluator):
        return source.capabilities
    if isinstance(source, Model):
        return _of_model(source)
    file = source if isinstance(source, SourceFile) else read_source(source)
    if not file.is_model:
        return kind_of(file).capabilities(file)
    header = header_from_bytes(file.content, file.name)
    return model_capabilities(header.architecture, Heads(header.heads), Precision(header.dtype))


def _of_model(model: Model) -> Capabilities:
    dtype = str(model.network.dtype).removeprefix("torch.")
    return model_capabilities(model.network.config, model.heads, Precision(dtype))


class CompilingEvaluator(Evaluator):
    """A model that is compiled once that pays.

    A program in the cache is used from the first evaluation on. Otherwise the eager model serves
    the first evaluations, then the model is compiled once, for all later runs. If a form was named,
    the model is compiled at once.
    """

    def __init__(self, model: Model, options: CompileOptions) -> None:
        self.model = model
        self.options = options
        self.capabilities = model_capabilities(
            model.network.config,
            model.heads,
            options.precision or Precision.FLOAT64,
            str(resolve_device(options.device)),
        )
        self._eager_work_left = EAGER_WORK if options.form is None else 0
        self._searched = False
        self._keeps_networks = False
        self._eager: EagerEvaluator | None = None
        self._program: Evaluator | None = None
        self._known: tuple[str, ...] = ()
        """Elements of the program, or of the one of which this is a copy."""
        self._second: Network | None = None
        self._lock = threading.RLock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process looks for the same program in the cache."""
        return CompilingEvaluator, (self.model, self.options), {"_known": self._known}

    def list_operators(self) -> ListOperators:
        """Those of the program, if there is one; see `Evaluator.list_operators`."""
        return super().list_operators() if self._program is None else self._program.list_operators()

    def bytes_needed(self, n_atoms: int, n_pairs: float) -> float:
        """Those of the program, if there is one; see `Evaluator.bytes_needed`."""
        now = self._program or self._eager_model()
        return now.bytes_needed(n_atoms, n_pairs)

    def is_ready(self, symbols: Sequence[str]) -> bool:
        """Whether there is a program for these elements; see `Evaluator.is_ready`."""
        program = self._program
        return program is not None and set(symbols) <= set(program.capabilities.elements)

    def evaluate(
        self, graph: Graph, head_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Evaluator.evaluate`."""
        program = self._program
        try:
            if program is not None and program.capabilities.elements == self.capabilities.elements:
                return program.evaluate(graph, head_weights)
            self.check(graph, head_weights)
            evaluator = self._evaluator(graph)
            return evaluator.evaluate(self._renumbered(graph, evaluator), head_weights)
        except TooManyElementsError:
            if self._keeps_networks:
                raise
            return self._with_networks(self._used(graph)).evaluate(graph, head_weights)

    def expect(self, symbols: Sequence[str], n_edges: float) -> None:
        """Compile now if the eager model would not do all of the work; see `Evaluator.expect`."""
        if n_edges * self.model.network.config.n_channels > self._eager_work_left:
            self.prepare(symbols)

    def prepare(self, symbols: Sequence[str]) -> None:
        """Compile now, for structures of these elements; see `Evaluator.prepare`."""
        with self._lock:
            try:
                (self._knowing(symbols) or self._compile(symbols)).prepare(symbols)
            except TooManyElementsError:
                self._with_networks(symbols)

    def _with_networks(self, used: Sequence[str]) -> Evaluator:
        """A slower program without tables, for structures of too many elements, from now on."""
        with self._lock:
            self._keeps_networks = True
            return self._compile(used)

    def twice_differentiable(self, symbols: Sequence[str], work: int) -> Network:
        """A fast network if there is one, or if there is much to do; otherwise the eager one.

        See `Evaluator.twice_differentiable`.
        """
        with self._lock:
            known = () if self._second is None else self._second.config.elements
            if self._second is not None and set(symbols) <= set(known):
                return self._second
            little = EAGER_SECOND * work * self.model.network.config.n_channels < EAGER_WORK
            on_cpu = resolve_device(self.options.device).type == "cpu"
            if not on_cpu or (little and self.options.form is None):
                return self._eager_network(symbols, work)
            try:
                self._second = compiler().twice_differentiable(
                    self.model, sorted({*known, *symbols}), announcement()
                )
            except MHFFError as error:
                logger.warning("second derivatives take the slower eager model: %s", error)
                self._second = self._eager_network(symbols, work)
            return self._second

    def _eager_network(self, symbols: Sequence[str], work: int) -> Network:
        """The eager model's network in float64."""
        eager = self._eager or EagerEvaluator(self.model, self.options.device)
        return eager.twice_differentiable(symbols, work)

    def _evaluator(self, graph: Graph) -> Evaluator:
        """The program for the elements of a graph, or the eager model."""
        used = self._used(graph)
        with self._lock:
            if (program := self._knowing(used)) is not None:
                return program
            if self._eager_work_left and not self._searched:
                self._searched = True
                self._find(used)
            if self._program is None and self._eager_work_left > 0:
                n_edges = graph.edge_index.shape[1]
                self._eager_work_left -= n_edges * self.model.network.config.n_channels
                return self._eager_model()
            return self._compile(used)

    def _knowing(self, used: Sequence[str]) -> Evaluator | None:
        """The program, if there is one and it knows these elements."""
        program = self._program
        if program is not None and set(used) <= set(program.capabilities.elements):
            return program
        return None

    def _used(self, graph: Graph) -> list[str]:
        """The elements of a graph."""
        return [self.capabilities.elements[index] for index in graph.species.unique().tolist()]

    def _find(self, used: Sequence[str]) -> None:
        """Take the program from the cache, if it is there."""
        try:
            path = compiler().find(self.model, self._asked(), (*self._known, *used))
        except NoCompilerError:
            return
        if path is not None:
            self._open(path)

    def _compile(self, used: Sequence[str]) -> Evaluator:
        """The program, compiled now if need be.

        It is the eager model if no form was named and the model cannot be compiled here.
        """
        wanted = (*self._known, *used)
        try:
            path = compiler().compile(self.model, self._asked(), wanted, announcement())
        except MHFFError as error:
            if self.options.form is not None:
                raise
            logger.warning("the model runs in its slower eager form: %s", error)
            self._program = self._eager_model()
            return self._program
        return self._open(path)

    def _open(self, path: Path) -> Evaluator:
        """Run this program from now on; the eager model is no longer needed."""
        asked = CompileOptions(device=self.options.device, precision=self.options.precision)
        self._program = compiler().open(read_source(path), asked)
        self._known = self._program.capabilities.elements
        self._eager = None
        return self._program

    def _asked(self) -> CompileOptions:
        asked = self.options.but(form=self.options.form or Form.AOTI)
        return asked.but(table_error=0.0) if self._keeps_networks else asked

    def _eager_model(self) -> EagerEvaluator:
        if self._eager is None:
            self._eager = EagerEvaluator(
                self.model, self.options.device, self.capabilities.precision
            )
        return self._eager

    def _renumbered(self, graph: Graph, evaluator: Evaluator) -> Graph:
        """The graph with the species indices of a program that knows fewer elements."""
        known = evaluator.capabilities.elements
        if known == self.capabilities.elements:
            return graph
        position = {element: index for index, element in enumerate(known)}
        table = torch.tensor(
            [position.get(element, 0) for element in self.capabilities.elements],
            device=graph.species.device,
        )
        return replace(graph, species=table[graph.species])


def announcement() -> Callable[[str], None]:
    """A function for the steps of a compilation that announces it once, at the first."""
    announced = OnceOnly()

    def say(step: str) -> None:
        for sentence in announced.new([COMPILING]):
            logger.warning(sentence)

    return say
