"""From a file's tensors to the weights of mhff's network.

The formulas of both sides agree, so the numbers are only rearranged.
"""

from __future__ import annotations

from itertools import pairwise

import torch

from mhff.interop.mace.architecture import readout_path
from mhff.interop.mace.constants import path_orders
from mhff.interop.mace.linear_maps import weight_blocks
from mhff.interop.mace.reading import Reading
from mhff.interop.mace.refusals import expect
from mhff.model.config import ModelConfig
from mhff.model.interaction import DENSITY_WIDTH

LAYER_NORM_EPS = 1e-5
"""torch's default, which mhff's networks use."""

Weights = dict[str, torch.Tensor]


def read_weights(reading: Reading, config: ModelConfig) -> Weights:
    """All weights of a network of this architecture, by name.

    Raises UnknownModelError for shapes that do not fit.
    """
    n_elements = len(config.elements)
    channels = config.n_channels
    weights = {
        "node_embedding.weight": _table(reading, "node_embedding.linear", n_elements, channels)
    }
    weights |= _references(reading, config)
    for layer in range(config.n_layers):
        read_block = _nonlinear if config.block(layer).is_nonlinear else _classic
        block = read_block(reading, config, layer)
        weights |= _prefixed(f"layers.{layer}.interaction.", block)
        weights |= _prefixed(f"layers.{layer}.product.", _product(reading, config, layer))
        path = readout_path(reading, layer)
        if path is not None:
            weights |= _prefixed(f"layers.{layer}.readout.", _readout(reading, config, path))
    if config.state_embeddings:
        weights |= _prefixed("state_embedding.", _state(reading, config))
    if config.state_readout:
        weights |= _prefixed(
            "state_readout.", _linear_readout(reading, config, "embedding_readout")
        )
    return weights


def _prefixed(prefix: str, weights: Weights) -> Weights:
    return {prefix + name: value for name, value in weights.items()}


def _table(reading: Reading, path: str, n_elements: int, channels: int) -> torch.Tensor:
    return reading.tensor(f"{path}.weight", n_elements * channels).reshape(n_elements, channels)


def _references(reading: Reading, config: ModelConfig) -> Weights:
    """E0s, scale and shift in float64; old files of one head have no axis for heads."""
    n_heads = len(config.heads)
    n_elements = len(config.elements)
    E0s = reading.tensor("atomic_energies_fn.atomic_energies")
    expect(
        E0s.numel() == n_heads * n_elements,
        f"it has {E0s.numel()} E0s for {n_heads} heads and {n_elements} elements",
    )
    weights = {"E0s": E0s.reshape(n_heads, n_elements)}
    if reading.root.class_name == "MACE":
        weights |= {"scale": torch.ones(n_heads), "shift": torch.zeros(n_heads)}
    else:
        for name in ("scale", "shift"):
            value = reading.tensor(f"scale_shift.{name}")
            expect(
                value.numel() == n_heads,
                f"it has {value.numel()} values of {name} for {n_heads} heads",
            )
            weights[name] = value.reshape(n_heads)
    return {
        f"reference_energies.{name}": value.to(torch.float64) for name, value in weights.items()
    }


def matrices(
    reading: Reading, path: str, n_degrees: int, n_elements: int = 0
) -> list[torch.Tensor]:
    """Weights of an equivariant linear map, one matrix per degree.

    The matrices are `[fan_in, fan_out]`, or `[n_elements, fan_in, fan_out]` where the map depends
    on the element.
    """
    inputs = reading.irreps(path, "irreps_in1" if n_elements else "irreps_in")
    outputs = reading.irreps(path, "irreps_out")
    if n_elements:
        expect(
            reading.irreps(path, "irreps_in2") == ((n_elements, 0, 1),),
            f"{path} does not mix by element",
        )
    expect(
        len({output[1:] for output in outputs}) == len(outputs),
        f"{path} has two outputs of one kind",
    )
    flat = reading.tensor(f"{path}.weight")
    kinds = [(degree, (-1) ** degree) for degree in range(n_degrees)]
    blocks: dict[tuple[int, int], list[torch.Tensor]] = {}
    for (a, _), block in weight_blocks(flat, inputs, outputs, path, max(n_elements, 1)).items():
        _, degree, parity = inputs[a]
        blocks.setdefault((degree, parity), []).append(block)
    expect(set(blocks) == set(kinds), f"{path} does not connect the degrees 0 to {n_degrees - 1}")
    # several inputs of one irrep give several blocks, which stack to one matrix
    stacked = [torch.cat(blocks[kind]).transpose(0, 1) for kind in kinds]
    return [matrix.contiguous() if n_elements else matrix[0].contiguous() for matrix in stacked]


def _degrees(name: str, values: list[torch.Tensor]) -> Weights:
    return {f"{name}.weights.{degree}": value for degree, value in enumerate(values)}


def _nonlinear(reading: Reading, config: ModelConfig, layer: int) -> Weights:
    path = f"interactions.{layer}"
    n_degrees = config.l_max + 1
    n_sent = config.message_lmax(layer) + 1
    n_skips = min(config.input_lmax(layer), config.output_lmax(layer)) + 1
    n_elements = len(config.elements)
    channels = config.n_channels
    weights = {
        "source.weight": _table(reading, f"{path}.source_embedding", n_elements, channels),
        "target.weight": _table(reading, f"{path}.target_embedding", n_elements, channels),
        "alpha": reading.tensor(f"{path}.alpha"),
        "beta": reading.tensor(f"{path}.beta"),
    }
    sizes = {
        "linear_up": n_sent,
        "linear_1": n_degrees,
        "linear_res": n_sent,
        "linear_2": n_degrees,
    }
    for name, size in sizes.items():
        weights |= _degrees(name, matrices(reading, f"{path}.{name}", size))
    weights |= _degrees("skip", matrices(reading, f"{path}.skip_tp", n_skips))
    width = config.n_radial + 2 * channels
    numel = reading.positive(f"{path}.conv_tp", "weight_numel")
    radial = [width, *config.radial_mlp, numel]
    weights |= _prefixed(
        "radial_network.", _pair_network(reading, f"{path}.conv_tp_weights.net", radial)
    )
    density = _pair_network(reading, f"{path}.density_fn.net", [width, DENSITY_WIDTH, 1])
    return weights | _prefixed("density_network.", density)


def _pair_network(reading: Reading, path: str, widths: list[int]) -> Weights:
    """Linear, LayerNorm, silu, ..., Linear of torch."""
    weights = {}
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        weights[f"weights.{index}"] = reading.tensor(f"{path}.{3 * index}.weight", fan_out, fan_in)
        weights[f"biases.{index}"] = reading.tensor(f"{path}.{3 * index}.bias", fan_out)
        if index < len(widths) - 2:
            norm = f"{path}.{3 * index + 1}"
            expect(reading.real(norm, "eps") == LAYER_NORM_EPS, f"{norm} has another eps")
            for name in ("weight", "bias"):
                weights[f"norms.{index}.{name}"] = reading.tensor(f"{norm}.{name}", fan_out)
    return weights


def _classic(reading: Reading, config: ModelConfig, layer: int) -> Weights:
    path = f"interactions.{layer}"
    block = config.block(layer)
    n_degrees = config.l_max + 1
    n_sent = config.message_lmax(layer) + 1
    n_elements = len(config.elements)
    n_skips = min(config.input_lmax(layer), config.output_lmax(layer)) + 1
    numel = reading.positive(f"{path}.conv_tp", "weight_numel")
    weights = _degrees("linear_up", matrices(reading, f"{path}.linear_up", n_sent))
    weights |= _degrees("linear", matrices(reading, f"{path}.linear", n_degrees))
    mix, size = ("skip", n_skips) if block.is_residual else ("mix", n_degrees)
    weights |= _degrees(mix, matrices(reading, f"{path}.skip_tp", size, n_elements))
    radial = [config.n_radial, *config.radial_mlp, numel]
    weights |= _prefixed(
        "radial_network.", _radial_network(reading, f"{path}.conv_tp_weights", radial)
    )
    if block.has_density:
        weights |= _prefixed(
            "density_network.", _radial_network(reading, f"{path}.density_fn", [config.n_radial, 1])
        )
    return weights


def _radial_network(reading: Reading, path: str, widths: list[int]) -> Weights:
    sizes = pairwise(widths)
    return {
        f"weights.{k}": reading.tensor(f"{path}.layer{k}.weight", *size)
        for k, size in enumerate(sizes)
    }


def _product(reading: Reading, config: ModelConfig, layer: int) -> Weights:
    """Weights `[n_sets, paths, channels]`; the file has one array per degree and order."""
    n_sets = 1 if config.agnostic_product else len(config.elements)
    arrays = []
    for path, order, n_paths in path_orders(reading, config, layer):
        highest = config.correlations[layer]
        name = "weights_max" if order == highest else f"weights.{highest - order - 1}"
        arrays.append(reading.tensor(f"{path}.{name}", n_sets, n_paths, config.n_channels))
    linear = matrices(reading, f"products.{layer}.linear", config.output_lmax(layer) + 1)
    return {"weights": torch.cat(arrays, dim=1)} | _degrees("linear", linear)


def _linear_readout(reading: Reading, config: ModelConfig, path: str) -> Weights:
    (matrix,) = matrices(reading, f"{path}.linear", 1)
    expect(
        tuple(matrix.shape) == (config.n_channels, len(config.heads)),
        f"{path} does not give one energy per head",
    )
    return {"weight": matrix}


def _readout(reading: Reading, config: ModelConfig, path: str) -> Weights:
    """A layer's readout.

    Heads are contiguous blocks of the hidden scalars, and only each head's own block counts.
    """
    kind = reading.module(path).class_name
    if kind == "LinearReadoutBlock":
        return _linear_readout(reading, config, path)
    n_heads = len(config.heads)
    width = config.readout_width
    hidden = n_heads * width
    own = torch.arange(n_heads)
    first = reading.tensor(f"{path}.linear_1.weight", config.n_channels * hidden)
    last = reading.tensor(f"{path}.linear_2.weight", hidden * n_heads).reshape(
        n_heads, width, n_heads
    )
    weights = {"weight_1": first.reshape(-1, hidden), "weight_2": last[own, :, own]}
    if kind == "NonLinearBiasReadoutBlock":
        middle = reading.tensor(f"{path}.linear_mid.weight", hidden * hidden).reshape(
            n_heads, width, n_heads, width
        )
        weights["weight_middle"] = middle[own, :, own]
        weights["bias_middle"] = reading.tensor(f"{path}.linear_mid.bias", hidden).reshape(
            n_heads, width
        )
        weights["bias_2"] = reading.tensor(f"{path}.linear_2.bias", n_heads)
    return weights


def _state(reading: Reading, config: ModelConfig) -> Weights:
    widths = [embedding.width for embedding in config.state_embeddings]
    weights = {
        "project": reading.tensor(
            "joint_embedding.project.0.weight", config.n_channels, sum(widths)
        )
    }
    for index, settings in enumerate(config.state_embeddings):
        path = f"joint_embedding.embedders.{settings.quantity}"
        ours = f"embeddings.{index}"
        if settings.kind == "categorical":
            weights[f"{ours}.weight"] = reading.tensor(
                f"{path}.weight", settings.n_classes, settings.width
            )
            continue
        for number, place, fan_in in ((1, 0, 1), (2, 2, settings.width)):
            weights[f"{ours}.weight_{number}"] = reading.tensor(
                f"{path}.{place}.weight", settings.width, fan_in
            )
            if settings.bias:
                weights[f"{ours}.bias_{number}"] = reading.tensor(
                    f"{path}.{place}.bias", settings.width
                )
    return weights
