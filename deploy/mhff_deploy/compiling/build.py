"""Building an artefact: lower, trace, compile, check, wrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import safetensors.torch
import torch

import mhff
from mhff.errors import MHFFError, listing
from mhff.evaluator import resolve_device, resolve_dtype
from mhff.files import kernel_folder, sha256
from mhff.modelfile import UNITS, Model
from mhff.state import given_state
from mhff_deploy.artefact.content import CONSTANTS, ISAS, KERNELS, NATIVE, Form, Manifest, pack
from mhff_deploy.artefact.runtime import load_artefact, processor
from mhff_deploy.compiling.aoti import compile_aoti
from mhff_deploy.compiling.products import use_kernel
from mhff_deploy.compiling.targets import Target
from mhff_deploy.compiling.torchscript import compile_torchscript
from mhff_deploy.compiling.trace import example_inputs, trace
from mhff_deploy.compiling.verify import verify
from mhff_deploy.lowering.lower import TABLE_ERROR, lower

ON_GPU = (499, 211, 40009)
"""Local atoms, ghosts and edges that a compiler for GPUs suits its kernels to; programs run with
any numbers of them.
"""


def build(
    model: Model,
    target: Target,
    head: str | None = None,
    elements: Sequence[str] | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    form: str | None = None,
    charge: float | None = None,
    spin: float | None = None,
    table_error: float | None = None,
    isa: str = NATIVE,
    progress: Callable[[str], None] = lambda step: None,
) -> tuple[bytes, Manifest]:
    """Content of the target's file, checked against the eager model, and its manifest.

    `head` becomes the default head; all heads stay in the program. `charge` and `spin`
    (multiplicity) become what engines that name none run with, for models that take them.
    `table_error`: error of forces, eV/A, that tables of radial functions may make (by default
    `lower.TABLE_ERROR`), 0 to keep the radial networks. `isa`: "native", or "x86-64-v3" for any
    processor with AVX2. `progress` is told each step as it begins. Raises MHFFError for whatever of
    the arguments cannot be had, and if the program is not exact.
    """
    chosen = choose_form(target, form)
    if head is not None:
        model.heads.index(head)
    state = given_state(charge, spin, model.network.config.state_embeddings)
    resolve_dtype(dtype)
    asked = TABLE_ERROR[dtype] if table_error is None else table_error
    if not 0 <= asked < float("inf"):
        raise MHFFError(
            f"expected a table error of 0 eV/A or more, got {asked:g}; 1e-6 suits most simulations"
        )
    check_isa(isa)
    lowered = lower(
        model,
        elements,
        dtype,
        resolve_device(device),
        asked,
        isa,
        kernel_folder(),
        progress,
        chosen,
    )
    network = lowered.network
    progress("tracing")
    program = trace(network)
    if lowered.library is not None:
        use_kernel(program, lowered.namespace)
    progress("compiling" if chosen == "aoti" else "scripting")
    sizes = () if network.device.type == "cpu" else ON_GPU
    example = example_inputs(len(model.heads), network.dtype, network.device, *sizes)
    members = {} if lowered.library is None else {KERNELS: lowered.library.read_bytes()}
    if chosen == "aoti":
        code, constants = compile_aoti(program, example, isa)
        members[CONSTANTS] = safetensors.torch.save(constants)
    else:
        code = compile_torchscript(program)
    manifest = Manifest(
        target=target.name,
        form=chosen,
        heads=tuple(model.heads),
        default_head=head,
        state_embeddings=network.config.state_embeddings,
        default_charge=state[0],
        default_spin=state[1],
        elements=network.config.elements,
        r_max=model.r_max,
        dtype="float32" if dtype == "float32" else "float64",
        device=str(network.device),
        units=UNITS,
        model_sha256=sha256(model.to_bytes()),
        torch_version=torch.__version__,
        mhff_version=mhff.__version__,
        kernels=lowered.namespace,
        isa=isa if network.device.type == "cpu" else "",
        processor=processor(network.device),
        tables={"asked": asked, "measured": lowered.table_error, "intervals": lowered.n_intervals},
        largest_errors={},
        provenance=model.provenance,
    )
    progress("checking against the eager model")
    evaluator = load_artefact(pack(code, manifest, members), "the new program")
    errors = verify(model, evaluator, dtype, asked if lowered.n_intervals else 0.0)
    manifest = manifest.model_copy(update={"largest_errors": errors})
    return target.wrap(pack(code, manifest, members)), manifest


def choose_form(target: Target, form: str | None) -> Form:
    """The form asked for, or the target's default; raises MHFFError if the target does not take it."""
    if form is None:
        return target.forms[0]
    for known in target.forms:
        if known == form:
            return known
    raise MHFFError(
        f"target '{target.name}' does not take the form '{form}': choose one of "
        f"{listing(target.forms)}"
    )


def check_isa(isa: str) -> None:
    """Raise MHFFError for an instruction set that programs are not compiled for."""
    if isa not in ISAS:
        raise MHFFError(f"unknown instruction set '{isa}': choose one of {listing(ISAS)}")
