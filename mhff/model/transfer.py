"""Weights of one network for another that has copies of its heads."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhff.model.mace import MACE
from mhff.model.readout import PerHead


def weights_with_heads(network: MACE, columns: Sequence[int]) -> dict[str, torch.Tensor]:
    """Weights, by name, for a network of the same trunk whose heads are copies of these columns.

    Energies stay the same up to rounding. A column may appear several times.
    """
    weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
    for path, module in network.named_modules():
        if isinstance(module, PerHead):
            weights |= {f"{path}.{name}": each for name, each in module.copied(columns).items()}
    return weights
