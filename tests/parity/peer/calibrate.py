"""Makes random models tame, as trained ones are, so that relative errors mean something.

Features are of order 1, products only mildly non-linear, and forces a few eV/A.
"""

from __future__ import annotations

from typing import Any

import torch
from evaluate import batch_outputs

TYPICAL_FEATURE = 1.0
"""Root mean square over atoms and features."""
TYPICAL_FORCE = 3.0
"""Median over the atoms that feel one, without the pair repulsion, eV/A."""
PRODUCT_DAMPING = 0.3
"""Factor on product weights for every order beyond the first."""


def calibrate(model: torch.nn.Module, structures: list[dict[str, Any]]) -> None:
    """Scale the linear maps before and after each product, then all readouts, to the typical values
    on these structures.
    """
    model.requires_grad_(False)
    repulsion = model.__dict__.pop("pair_repulsion", None)
    tame_radial_functions(model, structures)
    for block, product in zip(model.interactions, model.products, strict=True):
        damp(product)
        for linear, end in ((last_linear(block), block), (product.linear, product.linear)):
            linear.weight.mul_(
                TYPICAL_FEATURE / output_of(model, end, structures).square().mean().sqrt()
            )
    forces = torch.linalg.vector_norm(batch_outputs(model, structures)[1]["forces"].detach(), dim=1)
    for readout in model.readouts:
        for parameter in last_linear(readout).parameters():
            parameter.mul_(TYPICAL_FORCE / forces[forces > 0].median())
    if repulsion is not None:
        model.pair_repulsion = repulsion
    model.requires_grad_(True)


def tame_radial_functions(model: torch.nn.Module, structures: list[dict[str, Any]]) -> None:
    """Divide first weights of the radial networks by the size of the functions they act on
    (Chebyshev's grow as (2r)^n).
    """
    size = (
        output_of(model, model.radial_embedding, structures).square().mean(0).sqrt().clamp(min=1.0)
    )
    for block in model.interactions:
        for network in (block.conv_tp_weights, getattr(block, "density_fn", None)):
            if hasattr(network, "net"):
                network.net[0].weight[:, : len(size)].div_(size)
            elif network is not None:
                network.layer0.weight.div_(size.unsqueeze(1))


def damp(product: torch.nn.Module) -> None:
    """Make high orders of the symmetric contraction smaller; `weights` is ordered by descending
    order.
    """
    for contraction in product.symmetric_contractions.contractions:
        for order, weights in enumerate([*reversed(contraction.weights), contraction.weights_max]):
            weights.mul_(PRODUCT_DAMPING**order)


def last_linear(block: torch.nn.Module) -> torch.nn.Module:
    """The linear map of an interaction block or a readout with which its output grows in
    proportion.
    """
    return block.linear_2 if hasattr(block, "linear_2") else block.linear


def output_of(
    model: torch.nn.Module, part: torch.nn.Module, structures: list[dict[str, Any]]
) -> torch.Tensor:
    """What a part of the model gives for these structures, atoms first."""
    found: list[Any] = []
    hook = part.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    batch_outputs(model, structures)
    hook.remove()
    output = (
        found[0][0] if isinstance(found[0], tuple) else found[0]
    )  # interaction blocks give a skip term, too
    return output.detach()
