"""Lowering: a trained model and a set of elements give an equivalent network that is quicker to run.

First form: elements that are not asked for are pruned, and the heavy parts become single operators.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhff.errors import MHFFError, listing
from mhff.model.inference import use_operators
from mhff.model.layers import ElementEmbedding, ElementLinear
from mhff.model.mace import MACE
from mhff.model.product import Product
from mhff.model.readout import ReferenceEnergies
from mhff.modelfile import Model


def lower(model: Model, elements: Sequence[str] | None, dtype: torch.dtype, device: torch.device) -> MACE:
    """Network of its own for `elements` (all of the model's if None), in the model's order, ready to trace."""
    kept = select_elements(model, elements)
    old = model.network
    config = old.config.model_copy(update={"elements": kept})
    indices = torch.tensor([old.config.elements.index(symbol) for symbol in kept])
    constants = dict(old.constants)
    constants["covalent_radii"] = constants["covalent_radii"][indices]
    network = MACE(config, constants).to(device, dtype)
    network.load_state_dict(_prune(old, indices))
    network.requires_grad_(False)
    use_operators(network)
    return network


def select_elements(model: Model, elements: Sequence[str] | None) -> tuple[str, ...]:
    """The model's elements that are asked for, in the model's order; raises MHFFError for others."""
    if elements is None:
        return model.elements
    unknown = [symbol for symbol in elements if symbol not in model.elements]
    if unknown or not elements:
        raise MHFFError(
            f"this model has no element {listing(unknown)}: it knows {listing(model.elements)}; choose among them"
        )
    return tuple(symbol for symbol in model.elements if symbol in set(elements))


def _prune(network: MACE, kept: torch.Tensor) -> dict[str, torch.Tensor]:
    """State of the network with only the kept elements.

    Element tables carry the factor 1 / sqrt(n_elements), so their weights are rescaled to the new number; in float64,
    because a rescaled weight is no number of the old precision.
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
