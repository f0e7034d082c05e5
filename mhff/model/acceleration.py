"""How kernels take the place of plain torch: the only module that swaps a network's operations.

A network's convolutions and products call a function that they hold in `operator`. At first it is
plain torch, with any number of derivatives, in any precision. Here it becomes

| function        | operator                          | derivatives | precision                   |
|-----------------|-----------------------------------|-------------|-----------------------------|
| `use_operators` | one operator each, in plain torch | one         | any                         |
| `use_kernels`   | kernels in C++, for training      | two         | the network's at that time  |

Kernels accept only the precision they were compiled in. Compiled programs go further: the lowered
network of `mhff_deploy` takes all its heavy operations through its constructor. The shapes of all
kernels are made here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from mhff.model.convolution import Convolution
from mhff.model.coupling import convolution_paths
from mhff.model.mace import MACE
from mhff.model.product import Product
from mhff.model.radial_tables import RadialTables
from mhff.ops.contraction import contract_sets_by_operator
from mhff.ops.convolution import convolution_operator
from mhff.ops.cpu.build import CompilerError, build, why_not
from mhff.ops.cpu.contraction import KernelContraction
from mhff.ops.cpu.convolution import KernelConvolution
from mhff.ops.cpu.library import load
from mhff.ops.cpu.look_up import KernelLookUp
from mhff.ops.registration import Call
from mhff.ops.shapes import ContractionShape, ConvolutionShape, GeometryShape, LookUpShape, Shape

LOOK_UP = "look_up"
"""Name of the operators of radial tables."""


def use_operators(network: nn.Module) -> None:
    """Make a network evaluate through single operators, once differentiable: not for training."""
    for module in network.modules():
        if isinstance(module, Convolution):
            module.operator = convolution_operator
        elif isinstance(module, Product):
            module.operator = contract_sets_by_operator


def use_kernels(network: MACE, device: torch.device, folder: Path) -> str:
    """Let a network's convolutions and contractions run in kernels, in its present precision.

    Compiles them in seconds unless `folder` has them. Returns why they stay in plain torch, as
    "because ...", or "".
    """
    config = network.config
    layers = range(config.n_layers)
    if device.type != "cpu":
        return f"because kernels for training run on CPUs only, not on {device}"
    reason = why_not([config.n_channels, *(config.edge_channels(layer) for layer in layers)])
    if reason:
        return reason
    shapes = training_shapes(network)
    try:
        library, namespace = build(shapes, network.dtype, folder)
    except CompilerError as error:
        return f"because the C++ compiler could not make kernels ({error})"
    install(network, load(library, namespace, shapes))
    return ""


def install(network: MACE, operators: Mapping[str, Call]) -> None:
    """Let a network call the operators of its `training_shapes`, made for its present precision.

    In float32 its radial functions come from tables where that is less work; in float64 results are
    those of plain torch to rounding.
    """
    dtype = network.dtype
    network.embed_radial = network.radial_inputs
    if LOOK_UP in operators:
        network.embed_radial = RadialTables(
            network.radial_basis,
            len(network.config.elements),
            network.config.radial_of_pairs,
            lambda spline: KernelLookUp(operators, LOOK_UP, spline),
        )
    for index, layer in enumerate(network.layers):
        convolution = KernelConvolution(operators, f"convolution_{index}", dtype)
        layer.interaction.convolution.operator = convolution
        layer.product.operator = KernelContraction(operators, f"contraction_{index}", dtype)


def training_shapes(network: MACE) -> dict[str, Shape]:
    """Shapes of a network's kernels for training, by the names of their operators."""
    shapes: dict[str, Shape] = {}
    for layer in range(network.config.n_layers):
        shapes[f"convolution_{layer}"] = convolution_shape(network, layer, trained=True)
        shapes[f"contraction_{layer}"] = contraction_shape(network, layer, trained=True)
    if network.dtype == torch.float32:
        shapes[LOOK_UP] = LookUpShape(network.dtype)
    return shapes


def curvature_shapes(network: MACE) -> dict[str, Shape]:
    """Shapes of the kernels that Hessians take beside those of programs, in float64."""
    shapes: dict[str, Shape] = {LOOK_UP: LookUpShape(torch.float64)}
    for layer in range(network.config.n_layers):
        shapes[f"convolution_{layer}"] = convolution_shape(network, layer, trained=True)
        shapes[f"contraction_{layer}"] = replace(contraction_shape(network, layer), curved=True)
    return shapes


def geometry_shape(network: MACE) -> GeometryShape:
    """Shape of the kernel of a network's harmonics."""
    degrees = range(2, network.config.l_max + 1)
    return GeometryShape([network.constants[f"harmonics.{l}"] for l in degrees])


def convolution_shape(
    network: MACE, layer: int, mapped: Sequence[int] = (), trained: bool = False
) -> ConvolutionShape:
    """Shape of the kernel of a layer's convolution; `mapped`, `trained`: see `ConvolutionShape`."""
    config = network.config
    return ConvolutionShape(
        paths=convolution_paths(config.message_lmax(layer), config.l_max),
        coupling=network.constants[f"convolution.{layer}"],
        channels=config.edge_channels(layer),
        mapped=mapped,
        trained=trained,
    )


def contraction_shape(network: MACE, layer: int, trained: bool = False) -> ContractionShape:
    """Shape of the kernel of a layer's symmetric contraction; `trained`: see `ContractionShape`."""
    config = network.config
    return ContractionShape(
        monomials=network.constants[f"product.{layer}.monomials"],
        rows=network.constants[f"product.{layer}.rows"],
        dim=(config.l_max + 1) ** 2,
        channels=config.n_channels,
        trained=trained,
    )
