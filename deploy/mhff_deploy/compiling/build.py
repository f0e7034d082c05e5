"""Building an artefact: lower, trace, compile, check, pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch.fx import GraphModule

import mhff
from mhff.capabilities import model_capabilities
from mhff.devices import resolve_device
from mhff.errors import MHFFError, listing
from mhff.files import kernel_folder, sha256
from mhff.modelfile import UNITS, Model
from mhff.ops.cpu.levels import needs
from mhff.options import CompileOptions, CompleteOptions, Form, Precision
from mhff.state import given_state
from mhff_deploy.artefact.compatibility import processor
from mhff_deploy.artefact.constants import Constants, Packing
from mhff_deploy.artefact.content import NEW_PROGRAM, Manifest, Tables, pack
from mhff_deploy.artefact.programs import Parts
from mhff_deploy.artefact.runtime import run_parts
from mhff_deploy.artefact.tables import ProgramTables
from mhff_deploy.compiling.aoti import check_compiler, compile_aoti
from mhff_deploy.compiling.code import constant_names
from mhff_deploy.compiling.lower import TABLE_ERROR, Decision, Lowered, lower, refused_tables
from mhff_deploy.compiling.products import use_kernel
from mhff_deploy.compiling.torchscript import compile_torchscript
from mhff_deploy.compiling.trace import example_inputs, trace
from mhff_deploy.compiling.verify import verify
from mhff_deploy.kernels.cpu import CppKernels
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.radial.choice import InexactTablesError

SIZES_ON_GPU = (499, 211, 40009)
"""Local atoms, ghosts and edges that kernels for GPUs are tuned for; programs take any numbers."""
MAX_STORED_BYTES = 1 << 26
"""Largest size of the tables that a file holds beside its program."""
MAX_MEASURED = 5
"""Number of elements whose tables are measured where those of all would be too large."""


def build(
    model: Model,
    options: CompileOptions,
    target: str,
    say: Callable[[str], None] = lambda step: None,
) -> tuple[bytes, Manifest]:
    """Content of an artefact, checked against the eager model, and its manifest.

    `target`: name of the engine, for the manifest. `say` announces each step. Raises
    MHFFError for options that the model or this machine cannot satisfy, and if the program is not
    exact.
    """
    parts, manifest = compile_unchecked(model, options, target, say)
    evaluator = run_parts(parts, manifest, NEW_PROGRAM)
    try:
        parts, manifest = with_tables(parts, manifest, evaluator.tables, say)
    except InexactTablesError as error:
        refused = refused_tables(error)
        parts, manifest = compile_unchecked(model, options, target, say, refused)
        evaluator = run_parts(parts, manifest, NEW_PROGRAM)
    say("checking against the eager model")
    with torch.inference_mode(False), torch.enable_grad():
        errors = verify(model, evaluator, manifest.tables)
    manifest = manifest.model_copy(update={"largest_errors": errors})
    return pack(parts.code, manifest, parts.members), manifest


def with_tables(
    parts: Parts, manifest: Manifest, tables: ProgramTables | None, say: Callable[[str], None]
) -> tuple[Parts, Manifest]:
    """The parts with tables for all elements, if these are few, and the manifest with their error.

    Of many elements, some are measured. Nothing changes if `tables` is None. Raises
    InexactTablesError if none are as exact as was asked.
    """
    if tables is None:
        return parts, manifest
    say("making tables of the radial functions")
    elements = manifest.capabilities.elements
    config = tables.networks.config
    room = MAX_STORED_BYTES / tables.networks.table_bytes(1)
    stored = not config.radial_of_pairs or len(elements) ** 2 <= room
    measured = elements if len(elements) ** 2 <= room else spread(elements, MAX_MEASURED)
    tables.add(elements.index(element) for element in measured)
    described = manifest.tables.model_copy(
        update={
            "measured": tables.error,
            "n_intervals": tables.n_intervals,
            "elements": measured,
            "stored": stored,
        }
    )
    content = tables.to_bytes() if stored else None
    return replace(parts, tables=content), manifest.model_copy(update={"tables": described})


def spread(elements: Sequence[str], n: int) -> tuple[str, ...]:
    """At most n elements, the first and the last among them, equally far apart in the sequence."""
    n = min(n, len(elements))
    last = len(elements) - 1
    return tuple(elements[round(index * last / max(n - 1, 1))] for index in range(n))


def compile_unchecked(
    model: Model,
    options: CompileOptions,
    target: str,
    say: Callable[[str], None],
    refused: Decision | None = None,
) -> tuple[Parts, Manifest]:
    """The parts of an artefact that nothing has compared with the model yet; see `build`.

    `refused`: why the radial networks are kept, if that is known.
    """
    asked = complete(options)
    state = check_options(model, asked)
    with torch.inference_mode(False), torch.enable_grad():
        lowered = lower(model, asked, kernel_folder(), say, refused)
        parts = _compile(lowered, asked, say)
        network = lowered.network
        capabilities = model_capabilities(
            network.config, model.heads, asked.precision, str(resolve_device(asked.device))
        ).model_copy(
            update={"default_head": asked.head, "mixes": asked.mix, "default_state": state}
        )
        has_machine_code = network.device.type == "cpu" or asked.form is Form.AOTI
        manifest = Manifest(
            target=target,
            options=asked,
            capabilities=capabilities,
            units=UNITS,
            model_sha256=sha256(model.to_bytes()),
            torch_version=torch.__version__,
            mhff_version=mhff.__version__,
            kernels="" if lowered.kernels is None else lowered.kernels.namespace,
            processor=processor(network.device),
            instructions=needs(asked.isa.levels[0]) if has_machine_code else (),
            tables=Tables(
                asked=asked.table_error,
                measured=lowered.table_error,
                n_intervals=lowered.n_intervals,
                are_inputs=lowered.radial is not None,
            ),
            provenance=model.provenance,
        )
    return parts, manifest


def complete(options: CompileOptions) -> CompleteOptions:
    """The options with every choice made: float32, AOTInductor, tables to suit the precision."""
    precision = options.precision or Precision.FLOAT32
    table_error = options.table_error
    if table_error is None:
        table_error = TABLE_ERROR[precision]
    chosen = {
        "precision": precision,
        "form": options.form or Form.AOTI,
        "table_error": table_error,
    }
    return CompleteOptions.model_validate({**dict(options), **chosen})


def check_options(model: Model, options: CompleteOptions) -> tuple[float, float]:
    """Charge and multiplicity of a program.

    Raises MHFFError for what the model or this machine cannot satisfy.
    """
    if options.form is Form.EAGER:
        compiled = [form for form in Form if form is not Form.EAGER]
        raise MHFFError(
            f"the eager form is the model itself and is not compiled; choose one of "
            f"{listing(compiled)}"
        )
    if options.form is Form.AOTI:
        check_compiler()
    model.heads.check_mixes(options.mix)
    if options.head is not None and options.head not in [mix.name for mix in options.mix]:
        model.heads.index(options.head)
    return given_state(options.charge, options.spin, model.network.config.state_embeddings)


def _compile(lowered: Lowered, options: CompleteOptions, say: Callable[[str], None]) -> Parts:
    """Trace a lowered network and compile it, while its kernels are compiled on other cores."""
    radial = None if lowered.radial is None else lowered.radial.to_bytes()
    kernels = lowered.kernels
    if kernels is None:
        constants, code = _code(lowered.network, None, options, say)
        return Parts(code, {}, constants.to_bytes(), radial)
    if options.form is Form.TORCHSCRIPT:  # it keeps the operators themselves, not their names
        libraries = kernels.load()
        constants, code = _code(lowered.network, kernels, options, say)
    else:
        with kernels.traced():
            constants, code = _code(lowered.network, kernels, options, say)
        libraries = kernels.load()
    return Parts(code, libraries, constants.to_bytes(), radial)


def _code(
    network: LoweredNetwork,
    kernels: CppKernels | None,
    options: CompleteOptions,
    say: Callable[[str], None],
) -> tuple[Constants, bytes]:
    """The constants of a program and its code in the form that is asked for."""
    say("tracing")
    program: GraphModule = trace(network)
    packings: dict[str, Packing] = {}
    if kernels is not None:
        packings = use_kernel(program, kernels.namespace) | packings_of(program, kernels.packings)
    constants = constants_of(program, packings)
    if options.form is Form.TORCHSCRIPT:
        say("scripting")
        return constants, compile_torchscript(program, [*constants.plain, *constants.packings])
    say("compiling")
    sizes = () if network.device.type == "cpu" else SIZES_ON_GPU
    n_heads = len(network.config.heads)
    example = example_inputs(n_heads, network.dtype, network.device, *sizes)
    return constants, compile_aoti(program, example, options.isa, network.table_inputs)


def packings_of(
    program: GraphModule, made: Sequence[tuple[torch.Tensor, Packing]]
) -> dict[str, Packing]:
    """How constants of a traced program were packed, by name, from the tensors themselves."""
    return {
        name: packing
        for name in constant_names(program)
        for tensor, packing in made
        if getattr(program, name) is tensor
    }


def constants_of(program: GraphModule, packings: Mapping[str, Packing]) -> Constants:
    """The constants of a traced program, some of which are packed."""
    plain = {
        # copies, because some are views of others
        name: getattr(program, name).detach().clone(memory_format=torch.contiguous_format)
        for name in constant_names(program)
        if name not in packings
    }
    return Constants(plain, dict(packings))
