"""Building an artefact: lower, trace, compile, check, pack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

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
from mhff_deploy.artefact.content import NEW_PROGRAM, Manifest, Tables, pack
from mhff_deploy.artefact.programs import Parts
from mhff_deploy.artefact.runtime import run_parts
from mhff_deploy.artefact.tables import ProgramTables
from mhff_deploy.compiling.aoti import check_compiler
from mhff_deploy.compiling.lower import TABLE_ERROR, Decision, lower, refused_tables
from mhff_deploy.compiling.program import Compiled, compile_program
from mhff_deploy.compiling.verify import verify
from mhff_deploy.radial.choice import InexactTablesError

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
    compiled, manifest = compile_unchecked(model, options, target, say)
    evaluator = run_parts(compiled.parts, manifest, NEW_PROGRAM)
    try:
        parts, manifest = with_tables(compiled.parts, manifest, evaluator.tables, say)
    except InexactTablesError as error:
        refused = refused_tables(error)
        compiled, manifest = compile_unchecked(model, options, target, say, refused)
        parts = compiled.parts
        evaluator = run_parts(parts, manifest, NEW_PROGRAM)
    say("checking against the eager model")
    with torch.inference_mode(False), torch.enable_grad():
        errors = verify(model, evaluator, manifest.tables, known=compiled.was_known)
    compiled.remember()
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
) -> tuple[Compiled, Manifest]:
    """A program that nothing has compared with the model yet, and its manifest; see `build`.

    `refused`: why the radial networks are kept, if that is known.
    """
    asked = complete(options)
    state = check_options(model, asked)
    with torch.inference_mode(False), torch.enable_grad():
        lowered = lower(model, asked, kernel_folder(), say, refused)
        compiled = compile_program(lowered, asked, say)
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
    return compiled, manifest


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
