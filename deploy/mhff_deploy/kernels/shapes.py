"""The shapes that a lowered network's kernels are made for."""

from __future__ import annotations

from mhff.model.acceleration import contraction_shape, convolution_shape, geometry_shape
from mhff.model.mace import MACE
from mhff.ops.shapes import Shape
from mhff_deploy.lowering.network import LoweredMACE
from mhff_deploy.lowering.radial import RadialTables


def network_shapes(lowered: LoweredMACE, network: MACE) -> dict[str, Shape]:
    """Shapes by the names of their operators; `network` is the one that was lowered."""
    shapes: dict[str, Shape] = {"geometry": geometry_shape(network)}
    for layer in range(network.config.n_layers):
        in_tables = isinstance(lowered.radial, RadialTables)
        mapped = lowered.mixings[layer].before.widths if in_tables else ()
        shapes[f"convolution_{layer}"] = convolution_shape(network, layer, mapped)
        shapes[f"contraction_{layer}"] = contraction_shape(network, layer)
    return shapes
