"""Kernels for training: convolutions, which take most of a step's time in plain torch, on CPUs."""

from __future__ import annotations

from pathlib import Path

import torch

from mhff.model.kernels import convolution_part
from mhff.model.mace import MACE
from mhff.ops.cpu.build import CompilerError, build, why_not
from mhff.ops.cpu.operators import load
from mhff.ops.cpu.training import KernelConvolution


def use_kernels(network: MACE, device: torch.device, folder: Path) -> str:
    """Let a network's convolutions run in kernels, in its present precision; takes seconds unless
    `folder` has them.

    Returns why they run in plain torch, as "because ..."; empty if they do not.
    """
    layers = range(network.config.n_layers)
    if device.type != "cpu":
        return f"because kernels for training run on CPUs only, not on {device}"
    reason = why_not(network.config.edge_channels(layer) for layer in layers)
    if reason:
        return reason
    parts = {f"convolution_{layer}": convolution_part(network, layer) for layer in layers}
    try:
        library, namespace = build(parts, network.dtype, folder)
    except CompilerError as error:
        return f"because the C++ compiler could not make kernels ({error})"
    operators = load(library, namespace, parts)
    for layer in layers:
        network.layers[layer].interaction.convolution.operator = KernelConvolution(
            operators, f"convolution_{layer}"
        )
    return ""
