"""The shapes of a lowered network's kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from mhff.model.acceleration import contraction_shape, convolution_shape, geometry_shape
from mhff.model.mace import MACE
from mhff.ops.shapes import ADJOINT, ADJOINT_OF_EDGES, GateShape, Shape
from mhff_deploy.lowering.mixing import gates_of, message_map


def network_shapes(network: MACE, in_tables: bool) -> dict[str, Shape]:
    """Shapes by the names of their operators; `in_tables`: whether radial functions are tables."""
    return shapes_with(network, in_tables, lambda layer: (ADJOINT, ADJOINT_OF_EDGES))


def program_shapes(network: MACE, in_tables: bool) -> dict[str, Shape]:
    """The same with the adjoints that energies and edge gradients need.

    Features of the first layer do not depend on positions, those of the others do.
    """
    shapes = shapes_with(
        network, in_tables, lambda layer: (ADJOINT if layer else ADJOINT_OF_EDGES,)
    )
    return shapes | gate_shapes(network)


def gate_shapes(network: MACE) -> dict[str, Shape]:
    """Shapes of the gates of a network's layers."""
    config = network.config
    return {
        f"gate_{layer}": GateShape(config.n_channels, config.l_max, config.message_lmax(layer) + 1)
        for layer in gates_of(network)
    }


def shapes_with(
    network: MACE, in_tables: bool, adjoints: Callable[[int], Sequence[str]]
) -> dict[str, Shape]:
    """Shapes whose convolutions have the adjoints that a function names for each layer."""
    shapes: dict[str, Shape] = {"geometry": geometry_shape(network)}
    for index, layer in enumerate(network.layers):
        mapped = message_map(layer.interaction).widths if in_tables else ()
        convolution = convolution_shape(network, index, mapped)
        shapes[f"convolution_{index}"] = replace(convolution, adjoints=adjoints(index))
        shapes[f"contraction_{index}"] = contraction_shape(network, index)
    return shapes
