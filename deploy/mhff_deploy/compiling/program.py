"""From a lowered network to the parts of a program: known ones, or traced and compiled now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from torch.fx import GraphModule

from mhff.files import code_folder, sha256
from mhff.options import CompleteOptions, Form
from mhff_deploy.artefact.constants import Constants
from mhff_deploy.artefact.programs import Parts
from mhff_deploy.compiling.aoti import compile_aoti, options_for
from mhff_deploy.compiling.code import (
    Known,
    architecture_name,
    code_name,
    find_known,
    keep_known,
    kept_code,
)
from mhff_deploy.compiling.lower import Lowered
from mhff_deploy.compiling.products import use_kernel
from mhff_deploy.compiling.recipe import (
    Source,
    constant_names,
    sources_of,
    take_constants,
)
from mhff_deploy.compiling.torchscript import compile_torchscript
from mhff_deploy.compiling.trace import example_inputs, trace

SIZES_ON_GPU = (499, 211, 40009)
"""Local atoms, ghosts and edges that kernels for GPUs are tuned for; programs take any numbers."""


class Compiled(NamedTuple):
    """A program that nothing has compared with its model yet."""

    parts: Parts
    was_known: bool
    """Whether a program with this code was checked before."""
    architecture: str | None = None
    """Name of the architecture in the cache; None if there is nothing to remember."""
    known: Known | None = None

    def remember(self) -> None:
        """Let other models of this architecture have its code; call it once that is checked."""
        if self.architecture is not None and self.known is not None:
            keep_known(self.architecture, self.known, code_folder())


class New(NamedTuple):
    """Code that was compiled for a model."""

    code: bytes
    known: Known
    sources: dict[str, Source]
    """All tensors that the recipe reads."""


def compile_program(
    lowered: Lowered, options: CompleteOptions, say: Callable[[str], None]
) -> Compiled:
    """The parts of a program, by what is known of its architecture, or traced and compiled.

    Its kernels are compiled on other cores meanwhile. Raises MHFFError if a compiler fails.
    """
    sources = sources_of(lowered.network, lowered.kernels)
    name = architecture_name(lowered, options) if _is_shared(lowered) else None
    found = find_known(name, code_folder()) if name is not None else None
    if found is not None:
        return Compiled(_parts(lowered, found.code, found.recipe.made(sources)), was_known=True)
    with _traceable(lowered, options):
        new = _new(lowered, options, sources, say)
    parts = _parts(lowered, new.code, new.known.recipe.made(new.sources))
    if new.sources.keys() > sources.keys():  # other models have no such tensors
        return Compiled(parts, was_known=False)
    return Compiled(parts, False, name, new.known)


def _parts(lowered: Lowered, code: bytes, constants: Constants) -> Parts:
    """The parts of a program, once its kernels are compiled."""
    libraries = {} if lowered.kernels is None else lowered.kernels.load()
    radial = None if lowered.radial is None else lowered.radial.to_bytes()
    return Parts(code, libraries, constants.to_bytes(), radial)


def _is_shared(lowered: Lowered) -> bool:
    """Whether other models can have the same code: kernels of GPUs hold tables of their own."""
    return lowered.network.device.type == "cpu"


@contextmanager
def _traceable(lowered: Lowered, options: CompleteOptions) -> Iterator[None]:
    """Within, the network can be traced, and compiled in the form that is asked for."""
    kernels = lowered.kernels
    if kernels is None:
        yield
    elif options.form is Form.TORCHSCRIPT:  # it keeps the operators themselves, not their names
        kernels.load()
        yield
    else:
        with kernels.traced():
            yield


def _new(
    lowered: Lowered,
    options: CompleteOptions,
    sources: dict[str, Source],
    say: Callable[[str], None],
) -> New:
    """The code of a network, which others of its architecture share, and its recipe."""
    say("tracing")
    program = trace(lowered.network)
    recipe, every = take_constants(program, sources)
    if lowered.kernels is not None:
        factors = use_kernel(program, lowered.kernels.namespace)
        recipe = recipe.with_products(factors, constant_names(program))
    settings = {"form": options.form, **options_for(options.isa)}
    name = code_name(program, settings)

    def compiled() -> bytes:
        return _code(program, lowered, options, say)

    code = kept_code(name, code_folder(), compiled) if _is_shared(lowered) else compiled()
    return New(code, Known(code=name, code_sha256=sha256(code), recipe=recipe), every)


def _code(
    program: GraphModule,
    lowered: Lowered,
    options: CompleteOptions,
    say: Callable[[str], None],
) -> bytes:
    """A traced program in the form that is asked for."""
    if options.form is Form.TORCHSCRIPT:
        say("scripting")
        return compile_torchscript(program, constant_names(program))
    say("compiling")
    network = lowered.network
    sizes = () if network.device.type == "cpu" else SIZES_ON_GPU
    example = example_inputs(len(network.config.heads), network.dtype, network.device, *sizes)
    return compile_aoti(program, example, options.isa, network.table_inputs)
