"""Pruning: the network of a model for some of its elements."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhff.errors import MHFFError, listing
from mhff.model.layers import ElementEmbedding, ElementLinear
from mhff.model.mace import MACE
from mhff.model.product import Product
from mhff.model.readout import ReferenceEnergies
from mhff.modelfile import Model


def pruned(model: Model, elements: Sequence[str] | None) -> MACE:
    """The network for some elements (None for all), in float64, on the CPU, without gradients.

    Elements keep the model's order. Raises MHFFError for elements that the model lacks.
    """
    kept = select_elements(model, elements)
    old = model.network
    config = old.config.model_copy(update={"elements": kept})
    indices = torch.tensor([old.config.elements.index(symbol) for symbol in kept])
    constants = dict(old.constants)
    constants["covalent_radii"] = constants["covalent_radii"][indices]
    network = MACE(config, constants).double()
    network.load_state_dict(_pruned_state(old, indices))
    return network.requires_grad_(False)


def select_elements(model: Model, elements: Sequence[str] | None) -> tuple[str, ...]:
    """The requested elements, in the model's order; raises MHFFError for those it lacks."""
    if elements is None:
        return model.elements
    unknown = [symbol for symbol in elements if symbol not in model.elements]
    if not elements:
        raise MHFFError(
            f"expected elements, got none: this model knows {listing(model.elements)}; choose "
            "among them"
        )
    if unknown:
        raise MHFFError(
            f"this model has no element {listing(unknown)}: it knows {listing(model.elements)}; "
            "choose among them"
        )
    return tuple(symbol for symbol in model.elements if symbol in set(elements))


def _pruned_state(network: MACE, kept: torch.Tensor) -> dict[str, torch.Tensor]:
    """State of the network with only the kept elements.

    Weights of elements carry the factor 1 / sqrt(n_elements), so they are rescaled to the new
    number. This is done in float64, because the old precision may not hold a rescaled weight.
    """
    state = {name: value.detach().clone().cpu() for name, value in network.state_dict().items()}
    rescale = (len(kept) / len(network.config.elements)) ** 0.5
    for path, module in network.named_modules():
        if isinstance(module, ReferenceEnergies):
            state[f"{path}.E0s"] = state[f"{path}.E0s"][:, kept]
        elif isinstance(module, Product) and module.weights.shape[0] > 1:
            state[f"{path}.weights"] = state[f"{path}.weights"][kept]
        elif isinstance(module, (ElementEmbedding, ElementLinear)):
            for name, _ in module.named_parameters(prefix=path):
                state[name] = state[name][kept].double() * rescale
    return state
