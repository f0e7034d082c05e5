"""Lowering: a trained model and a set of elements give an equivalent network that is quicker to
run.

Elements that are not asked for are pruned. On a CPU with a C++ compiler, linear maps are folded,
the heavy parts run in kernels made for the model's shapes (`lowered`, `native`), and radial
networks become tables, unless that is not wanted or not possible. On a GPU it is the same with
kernels in Triton (`cuda`), for tables only and not in TorchScript. Elsewhere the network stays as
it is, with its heavy parts as single operators of plain torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from mhff.devices import resolve_device
from mhff.errors import MHFFError, listing
from mhff.model.acceleration import use_operators
from mhff.model.layers import ElementEmbedding, ElementLinear
from mhff.model.mace import MACE
from mhff.model.product import Product
from mhff.model.readout import ReferenceEnergies
from mhff.modelfile import Model
from mhff.ops.cpu import build
from mhff.ops.gpu import module as triton_module
from mhff.options import CompleteOptions, Form, Precision
from mhff_deploy.kernels.cpu import NativeKernels
from mhff_deploy.kernels.gpu import TritonKernels
from mhff_deploy.lowering.accuracy import Tabulated, lower_to_error
from mhff_deploy.lowering.network import LoweredMACE
from mhff_deploy.lowering.radial import depends_on_pair

TABLE_ERROR = {Precision.FLOAT32: 1e-6, Precision.FLOAT64: 1e-9}
"""Error of forces, eV/A, that tables may make, by the program's precision."""
LARGEST_TABLES = 1 << 29
"""Bytes; beyond it the radial networks are kept."""
USUAL_INTERVALS = 256
"""Of a table, to say how large it would be."""


@dataclass(frozen=True)
class Lowered:
    """A network to trace, and what was done to it."""

    network: LoweredMACE | MACE
    library: Path | None = None
    """Shared library with its kernels; None where they are in Triton, or its heavy parts in plain
    torch.
    """
    namespace: str = ""
    """Of the kernels' operators."""
    table_error: float = 0.0
    """Measured error of forces that tables make, eV/A, relative to max(1, largest)."""
    n_intervals: int = 0
    """Of the tables; 0 where the radial networks are kept."""


def lower(
    model: Model,
    options: CompleteOptions,
    folder: Path,
    progress: Callable[[str], None] = lambda step: None,
) -> Lowered:
    """Network of its own for the elements asked for, in the model's order, ready to trace.

    `folder`: where compiled kernels are kept. Raises MHFFError for elements that the model lacks.
    """
    device = resolve_device(options.device)
    table_error = options.table_error
    form = options.form
    exact = pruned(model, options.elements)
    use_operators(exact)  # which work in pieces, so that large models need little memory here
    precision = options.precision.dtype
    kept = why_no_tables(exact, table_error)
    reason = why_no_kernels(exact, device, form, kept)
    if reason:
        progress(f"keeping the network as it is, {reason}")
        return Lowered(exact.to(device, precision))
    if not kept:
        progress("making tables of the radial functions")
    lowered, n_intervals, measured = (
        Tabulated(LoweredMACE(exact, 0)) if kept else lower_to_error(exact, table_error)
    )
    if device.type != "cpu":
        in_triton = TritonKernels(lowered, exact, precision, device, folder)
        lowered = lowered.to(device, precision)
        lowered.kernels = in_triton
        return Lowered(lowered, table_error=measured, n_intervals=n_intervals)
    progress(
        f"compiling kernels; radial networks are kept, {kept}" if kept else "compiling kernels"
    )
    try:
        kernels = NativeKernels(lowered, exact, precision, folder, options.isa)
    except build.CompilerError as error:
        raise MHFFError(
            f"the C++ compiler could not make the kernels ({error}); use g++ 11 or newer"
        ) from error
    lowered = lowered.to(precision)
    lowered.kernels = kernels
    return Lowered(lowered, kernels.library, kernels.namespace, measured, n_intervals)


def why_no_kernels(
    network: MACE, device: torch.device, form: Form = Form.AOTI, no_tables: str = ""
) -> str:
    """Why a network is left as it is; empty if it is lowered to kernels. `no_tables`: why it has
    none (`why_no_tables`).
    """
    config = network.config
    if device.type == "cpu":
        return build.why_not(
            {config.n_channels, *(config.edge_channels(layer) for layer in range(config.n_layers))}
        )
    if form is Form.TORCHSCRIPT:
        return "because TorchScript cannot hold kernels for GPUs, which are in Triton"
    if no_tables:
        return f"because kernels for GPUs need tables and there are none, {no_tables}"
    return triton_module.why_not()


def why_no_tables(network: MACE, table_error: float) -> str:
    """Why a lowered network keeps its radial networks; empty if they become tables."""
    config = network.config
    if table_error == 0:
        return "as asked"
    if config.jumps_at_cutoff:
        return "because they do not end smoothly at the cutoff"
    size = table_bytes(network)
    if size > LARGEST_TABLES:
        return (
            f"because tables for {len(config.elements)} elements would take {size / 1e9:.0f} "
            "GB; choose some with --elements"
        )
    return ""


def table_bytes(network: MACE) -> int:
    """Size of a network's tables in float32, with the number of intervals that is usual."""
    widths = sum(layer.interaction.weight_width for layer in network.layers)
    n_tables = len(network.config.elements) ** 2 if depends_on_pair(network) else 1
    return int(4 * n_tables * USUAL_INTERVALS * widths)


def pruned(model: Model, elements: Sequence[str] | None) -> MACE:
    """The model's network for some of its elements, in float64, on the CPU, its parameters without
    gradients.
    """
    kept = select_elements(model, elements)
    old = model.network
    config = old.config.model_copy(update={"elements": kept})
    indices = torch.tensor([old.config.elements.index(symbol) for symbol in kept])
    constants = dict(old.constants)
    constants["covalent_radii"] = constants["covalent_radii"][indices]
    network = MACE(config, constants).double()
    network.load_state_dict(_prune(old, indices))
    return network.requires_grad_(False)


def select_elements(model: Model, elements: Sequence[str] | None) -> tuple[str, ...]:
    """The model's elements that are asked for, in the model's order; raises MHFFError for others."""
    if elements is None:
        return model.elements
    unknown = [symbol for symbol in elements if symbol not in model.elements]
    if not elements:
        raise MHFFError(
            f"expected elements, got none: this model knows {listing(model.elements)}; choose "
            "among them"
        )
    if unknown:
        raise MHFFError(
            f"this model has no element {listing(unknown)}: it knows {listing(model.elements)}; "
            "choose among them"
        )
    return tuple(symbol for symbol in model.elements if symbol in set(elements))


def _prune(network: MACE, kept: torch.Tensor) -> dict[str, torch.Tensor]:
    """State of the network with only the kept elements.

    Element tables carry the factor 1 / sqrt(n_elements), so their weights are rescaled to the new
    number; in float64, because a rescaled weight is no number of the old precision.
    """
    state = {name: value.detach().clone().cpu() for name, value in network.state_dict().items()}
    rescale = (len(kept) / len(network.config.elements)) ** 0.5
    for path, module in network.named_modules():
        if isinstance(module, ReferenceEnergies):
            state[f"{path}.E0s"] = state[f"{path}.E0s"][:, kept]
        elif isinstance(module, Product) and module.weights.shape[0] > 1:
            state[f"{path}.weights"] = state[f"{path}.weights"][kept]
        elif isinstance(module, (ElementEmbedding, ElementLinear)):
            for name, _ in module.named_parameters(prefix=path):
                state[name] = state[name][kept].double() * rescale
    return state
