"""Which kernels a network's layers want."""

from __future__ import annotations

from collections.abc import Sequence

from mhff.model.coupling import convolution_paths
from mhff.model.mace import MACE
from mhff.ops.cpu.parts import Convolution


def convolution_part(network: MACE, layer: int, mapped: Sequence[int] = ()) -> Convolution:
    """The convolution of a layer, its weights in tables with `mapped` (`Convolution.mapped`), else
    given with the edges.
    """
    config = network.config
    paths = convolution_paths(config.message_lmax(layer), config.l_max)
    return Convolution(
        paths, network.constants[f"convolution.{layer}"], config.edge_channels(layer), mapped
    )
