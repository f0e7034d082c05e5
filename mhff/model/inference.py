"""From the training model to one that only evaluates: the heavy parts become single operators."""

from __future__ import annotations

from torch import nn

from mhff.model.interaction import Convolution
from mhff.model.product import Product
from mhff.ops.contraction import contraction_operator
from mhff.ops.convolution import convolution_operator


def use_operators(network: nn.Module) -> None:
    """Make a network evaluate through the operators instead of their references: once
    differentiable, not for training.
    """
    for module in network.modules():
        if isinstance(module, Convolution):
            module.operator = convolution_operator
        elif isinstance(module, Product):
            module.operator = contraction_operator
