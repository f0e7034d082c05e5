"""The shapes of a lowered network's kernels."""

from __future__ import annotations

from mhff.model.acceleration import contraction_shape, convolution_shape, geometry_shape
from mhff.model.mace import MACE
from mhff.ops.shapes import Shape
from mhff_deploy.lowering.mixing import message_map


def network_shapes(network: MACE, in_tables: bool) -> dict[str, Shape]:
    """Shapes by the names of their operators; `in_tables`: whether radial functions are tables."""
    shapes: dict[str, Shape] = {"geometry": geometry_shape(network)}
    for index, layer in enumerate(network.layers):
        mapped = message_map(layer.interaction).widths if in_tables else ()
        shapes[f"convolution_{index}"] = convolution_shape(network, index, mapped)
        shapes[f"contraction_{index}"] = contraction_shape(network, index)
    return shapes
