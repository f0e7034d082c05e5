"""Building the TorchScript module of a force: a step around a compiled program.

The module takes positions, the box if the force is periodic, and one number for each global
parameter, in their order; OpenMM passes them by position.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from mhff.atoms import species_indices
from mhff.errors import MHFFError
from mhff.filekinds import SourceFile, compiler, read_source
from mhff.graph import ONE_RANK
from mhff.modelfile import from_bytes
from mhff.opening import announcement, check_form
from mhff.ops.cpu.levels import best, needs
from mhff.options import CompileOptions, Form
from mhff_deploy.artefact.compatibility import check_manifest
from mhff_deploy.artefact.content import Manifest, is_artefact, read_manifest
from mhff_deploy.artefact.programs import parts_of
from mhff_deploy.artefact.runtime import run_parts
from mhff_deploy.artefact.scripts import script_without_python
from mhff_openmm.adapter import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV
from mhff_openmm.definition import ForceDefinition
from mhff_openmm.parameters import Parameters
from mhff_openmm.script.kernels import library_as_tensor
from mhff_openmm.script.step import Step


class Script(NamedTuple):
    """A TorchScript module, and the description of the program in it."""

    module: torch.jit.ScriptModule
    manifest: Manifest


def build_script(definition: ForceDefinition) -> Script:
    """The module of a force; compiles the model if need be.

    Raises MHFFError for a program that cannot run here or that has no kernels: without, its heavy
    operations are in Python.
    """
    file = _artefact(definition)
    manifest = read_manifest(file.content, file.name)
    parts = parts_of(file.content, manifest)
    if not parts.kernels:
        raise MHFFError(
            f"'{file.name}' has no kernels and would call Python at every step; install a C++ "
            "compiler and recompile it, or choose backend='python'"
        )
    evaluator = run_parts(parts, manifest, file.name, file)
    capabilities = manifest.capabilities
    device = torch.device(capabilities.device)
    symbols = definition.symbols
    species = species_indices(symbols, capabilities.elements)
    program = script_without_python(evaluator, species)
    state = torch.tensor([definition.state], dtype=torch.float64).repeat(len(symbols), 1)
    inputs = (
        species,
        torch.tensor([ONE_RANK], dtype=torch.int64),
        state,
    )
    subset = None if definition.subset is None else torch.tensor(definition.subset)
    step = Step(
        (program, *_list_operators(manifest.kernels)),
        inputs,
        subset,
        _head_map(definition.parameters),
        (capabilities.r_max, definition.skin),
        (KJ_PER_MOL_PER_EV, ANGSTROM_PER_NM),
    )
    # the program's constants have been packed for this level
    level = best(tuple(parts.kernels))
    needed = manifest.model_copy(update={"instructions": needs(level)})
    step.register_buffer("kernels", library_as_tensor(parts.kernels[level], needed))
    return Script(_with_arguments(step.to(device), definition), manifest)


def _head_map(parameters: Parameters) -> tuple[torch.Tensor, torch.Tensor]:
    """Offset `[n_heads]` and matrix `[n_heads, n_parameters]` of `Parameters.weights`."""
    offset = parameters.weights(dict.fromkeys(parameters.names, 0.0))
    columns = [parameters.derivatives(name) for name in parameters.names]
    matrix = torch.tensor(columns, dtype=torch.float64).T.contiguous()
    return torch.tensor(offset, dtype=torch.float64), matrix


def _list_operators(namespace: str) -> tuple[torch.fx.GraphModule, torch.fx.GraphModule]:
    """`near_edges` and `results_of_edges` of a library (`mhff.ops.lists`), as modules."""
    library = getattr(torch.ops, namespace)
    return (
        _as_module(library.near_edges, (*[torch.Tensor] * 6, *[float] * 3)),
        _as_module(library.results_of_edges, (*[torch.Tensor] * 4, *[float] * 2)),
    )


def _as_module(operator: Any, types: Sequence[type]) -> torch.fx.GraphModule:
    """A module that calls an operator with arguments of these types."""
    graph = torch.fx.Graph()
    arguments = [graph.placeholder(f"x{n}", type_expr=kind) for n, kind in enumerate(types)]
    graph.output(graph.call_function(operator, tuple(arguments)))
    return torch.fx.GraphModule({}, graph)


def form_of(definition: ForceDefinition) -> Form | None:
    """The form of an artefact, or the form that was asked for a model; None: any will do."""
    file = definition.file
    asked = _asked(definition)
    check_form(file, asked)
    if not is_artefact(file.content):
        return asked.form
    return read_manifest(file.content, file.name).form


def _artefact(definition: ForceDefinition) -> SourceFile:
    """The artefact in TorchScript: the source itself, or the program that it is compiled to."""
    file = definition.file
    asked = _asked(definition)
    if file.is_model:
        model = from_bytes(file.content, file.name)
        options = asked.but(form=Form.TORCHSCRIPT)
        elements = definition.program.elements
        return read_source(compiler().compile(model, options, elements, announcement()))
    check_manifest(read_manifest(file.content, file.name), file.name, asked)
    return file


def _asked(definition: ForceDefinition) -> CompileOptions:
    program = definition.program
    return CompileOptions.model_validate(
        {"device": program.device, "precision": program.dtype, "form": program.form}
    )


def _with_arguments(step: Step, definition: ForceDefinition) -> torch.jit.ScriptModule:
    """The step as a script that takes each parameter as an argument of its own."""
    graph = torch.fx.Graph()
    positions = graph.placeholder("positions")
    if definition.periodic:
        box = graph.placeholder("box")
    else:
        box = graph.call_function(torch.zeros, ([3, 3],))
    values = [graph.placeholder(f"parameter_{n}") for n in range(len(definition.parameters.names))]
    stacked = graph.call_function(torch.stack, (values,))
    graph.output(graph.call_module("step", (positions, box, definition.periodic, stacked)))
    module = torch.fx.GraphModule({"step": step}, graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated; openmm-torch needs it
        return torch.jit.script(module.eval())
