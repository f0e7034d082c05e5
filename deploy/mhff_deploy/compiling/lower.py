"""From a model and a set of elements to an equivalent network that runs faster.

All other elements are pruned. On a CPU with a C++ compiler, the heavy operations run in kernels
made for the model's shapes, and radial networks become tables, unless they are to be kept or cannot
be tabulated. These tables are inputs of the program, so they are made when there is one
(`artefact.tables`); here are only examples of them. On a GPU, kernels are in Triton; they need
tables for all elements, and TorchScript cannot hold them. Elsewhere everything runs in plain torch,
with the exact radial networks.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from mhff.devices import resolve_device
from mhff.files import sha256
from mhff.model.acceleration import use_operators
from mhff.model.mace import MACE
from mhff.modelfile import Model
from mhff.ops.cpu import build
from mhff.ops.gpu import module as gpu_module
from mhff.options import CompleteOptions, Form, Precision
from mhff_deploy.kernels.cpu import CppKernels
from mhff_deploy.kernels.gpu import TritonKernels
from mhff_deploy.lowering.accuracy import choose_tables
from mhff_deploy.lowering.network import LoweredNetwork
from mhff_deploy.lowering.pruning import pruned
from mhff_deploy.radial.choice import MIN_INTERVALS, ChosenTables, InexactTablesError
from mhff_deploy.radial.networks import RadialNetworks, tabulate_pairs

MAX_TABLE_BYTES = 1 << 29
"""Largest size of the tables that a program holds in itself."""
TABLE_ERROR = {Precision.FLOAT32: 1e-6, Precision.FLOAT64: 1e-9}
"""Error of forces on atoms, eV/A, that tables may make by default, by the program's precision."""


@dataclass(frozen=True)
class Lowered:
    """A network to trace, and how it was made."""

    network: LoweredNetwork
    architecture: str
    """Checksum of what the network's graph depends on (`architecture_of`)."""
    kernels: CppKernels | None = None
    """Its kernels in C++; None if they are in Triton or plain torch."""
    table_error: float = 0.0
    """Measured error that tables make in forces on atoms, eV/A, relative to max(1, largest)."""
    n_intervals: int = 0
    """Number of intervals of the tables that the network has; 0 if it has none of its own."""
    radial: RadialNetworks | None = None
    """Radial networks, if tables of them are inputs of the program."""


class Decision(NamedTuple):
    """Whether an optimisation is applied."""

    taken: bool
    reason: str = ""
    """Why not: "because ...", or "as asked"."""


def lower(
    model: Model,
    options: CompleteOptions,
    folder: Path,
    say: Callable[[str], None] = lambda step: None,
    refused: Decision | None = None,
) -> Lowered:
    """The lowered network for the requested elements, ready to trace.

    `folder`: where compiled kernels are kept; `say` announces each step; `refused`: why the radial
    networks are kept, if that is known. Raises MHFFError for elements that the model lacks, and if
    the C++ compiler fails.
    """
    device = resolve_device(options.device)
    dtype = options.precision.dtype
    network = pruned(model, options.elements)
    architecture = architecture_of(network)
    use_operators(network)  # they work in pieces, so that large models need little memory here
    use_tables = refused or decide_tables(network, options.table_error, device)
    radial = RadialNetworks(network)
    chosen: ChosenTables | None = None
    if use_tables.taken and decide_kernels(network, device, options.form, use_tables).taken:
        try:
            chosen = _tables(network, radial, options, device, say)
        except InexactTablesError as error:
            use_tables = refused_tables(error)
    use_kernels = decide_kernels(network, device, options.form, use_tables)
    if not use_kernels.taken:
        say(f"keeping plain torch, {use_kernels.reason}")
        return Lowered(LoweredNetwork(network).to(device, dtype), architecture)
    if device.type != "cpu" and chosen is not None:  # always true on a GPU (`decide_kernels`)
        tables, measured = chosen
        on_gpu = LoweredNetwork(
            network, tables, TritonKernels(network, tables, dtype, device, folder)
        )
        return Lowered(
            on_gpu, architecture, table_error=measured, n_intervals=tables.spline.n_intervals
        )
    say(
        "compiling kernels" + ("" if chosen else f"; radial networks are kept, {use_tables.reason}")
    )
    examples = None if chosen is None else chosen.tables
    kernels = CppKernels(network, examples, dtype, folder, options.isa.levels)
    return Lowered(
        LoweredNetwork(network, examples, kernels),
        architecture,
        kernels,
        radial=None if chosen is None else radial,
    )


def architecture_of(network: MACE) -> str:
    """Checksum of all that the graph of a lowered network depends on, but weights and names."""
    # the mean number of neighbours is folded into matrices, and heads are only counted
    without_values = {"avg_num_neighbors": 0, "heads": len(network.config.heads)}
    fields = network.config.model_dump(mode="json") | without_values
    constants = {
        name: [str(value.dtype), list(value.shape), sha256(value.contiguous().numpy().tobytes())]
        for name, value in network.constants.items()
    }
    return sha256(json.dumps([fields, constants], sort_keys=True).encode())


def _tables(
    network: MACE,
    radial: RadialNetworks,
    options: CompleteOptions,
    device: torch.device,
    say: Callable[[str], None],
) -> ChosenTables:
    """Tables that a program for a GPU holds, or on a CPU examples of those that one takes."""
    if device.type == "cpu":
        two = torch.zeros(2, 2, dtype=torch.int64)  # torch takes a size of one for a constant
        return ChosenTables(tabulate_pairs(radial, MIN_INTERVALS, two), 0.0)
    say("making tables of the radial functions")
    return choose_tables(network, options.table_error)


def refused_tables(error: InexactTablesError) -> Decision:
    """The decision against tables, because none are as exact as was asked."""
    return Decision(False, f"because {error}; --table-error asks for less")


def decide_tables(network: MACE, table_error: float, device: torch.device) -> Decision:
    """Whether radial networks become tables."""
    config = network.config
    if table_error == 0:
        return Decision(False, "as asked")
    if config.jumps_at_cutoff:
        return Decision(False, "because they do not end smoothly at the cutoff")
    if device.type == "cpu":  # programs make tables for few elements at a time
        return Decision(True)
    size = RadialNetworks(network).table_bytes(len(config.elements))
    if size > MAX_TABLE_BYTES:
        return Decision(
            False,
            f"because tables for {len(config.elements)} elements would take {size / 1e9:.0f} "
            "GB; choose some with --elements",
        )
    return Decision(True)


def decide_kernels(
    network: MACE, device: torch.device, form: Form, use_tables: Decision
) -> Decision:
    """Whether the heavy operations run in kernels."""
    config = network.config
    if device.type == "cpu":
        channels = [config.edge_channels(layer) for layer in range(config.n_layers)]
        reason = build.why_not({config.n_channels, *channels})
    elif form is Form.TORCHSCRIPT:
        reason = "because TorchScript cannot hold kernels for GPUs, which are in Triton"
    elif not use_tables.taken:
        reason = f"because kernels for GPUs need tables and there are none, {use_tables.reason}"
    else:
        reason = gpu_module.why_not()
    return Decision(not reason, reason)
