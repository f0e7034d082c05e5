"""The few operators where the time goes.

Each has a plain torch reference that can be differentiated any number of times, which training uses, and stands in
`torch.library` as one operator with a hand-derived adjoint, which inference uses. Kernels take the operators' place.
"""

from __future__ import annotations

from torch import nn


def use_operators(network: nn.Module) -> None:
    """Make a network evaluate through the operators instead of their references: once differentiable, not for training."""
    from mhff.model.interaction import Convolution
    from mhff.model.product import Product
    from mhff.ops.contraction import contraction_operator
    from mhff.ops.convolution import convolution_operator

    for module in network.modules():
        if isinstance(module, Convolution):
            module.operator = convolution_operator
        elif isinstance(module, Product):
            module.operator = contraction_operator
