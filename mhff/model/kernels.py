"""Which kernels a network's layers want."""

from __future__ import annotations

from mhff.model.coupling import convolution_paths
from mhff.model.mace import MACE
from mhff.ops.native.parts import Convolution


def convolution_part(network: MACE, layer: int, per_edge: bool) -> Convolution:
    """The convolution of a layer; `per_edge`: its weights are given with the edges, not looked up in tables."""
    config = network.config
    paths = convolution_paths(config.message_lmax(layer), config.l_max)
    return Convolution(paths, network.constants[f"convolution.{layer}"], config.edge_channels(layer), per_edge)
