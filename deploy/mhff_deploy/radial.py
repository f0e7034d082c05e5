"""A layer's radial functions, as functions of the distance alone: what tables are made of.

They depend on the elements of both ends, or on none; `table_of` says which table a pair of elements takes.
"""

from __future__ import annotations

import torch

from mhff.model.interaction import Edges, Interaction
from mhff.model.mace import MACE
from mhff_deploy.tables import Functions


def depends_on_pair(network: MACE) -> bool:
    """Whether the radial functions depend on the elements of both ends."""
    config = network.config
    blocks = {config.block(layer) for layer in range(config.n_layers)}
    return config.distance_transform != "none" or "nonlinear_residual" in blocks


def table_of(network: MACE) -> torch.Tensor:
    """Which table an edge takes, `[n_elements, n_elements]`: by the species of sender and receiver."""
    n_elements = len(network.config.elements)
    if depends_on_pair(network):
        return torch.arange(n_elements**2).reshape(n_elements, n_elements)
    return torch.zeros(n_elements, n_elements, dtype=torch.int64)


def radial_functions(network: MACE, layer: int) -> Functions:
    """Convolution weights of a layer, `[n_tables, n, paths * edge_channels]`, of a float64 network."""
    interaction: Interaction = network.layers[layer].interaction
    return lambda r: interaction.radial_weights(_edges(network, r)).unflatten(0, (-1, len(r)))


def edge_densities(network: MACE) -> Functions | None:
    """Edge densities of all layers that have one, `[n_tables, n, layers]`; None where no layer has."""
    interactions: list[Interaction] = [layer.interaction for layer in network.layers]

    def functions(r: torch.Tensor) -> torch.Tensor:
        edges = _edges(network, r)
        densities = [interaction.edge_density(edges) for interaction in interactions]
        found = [density for density in densities if density is not None]
        return torch.cat(found, dim=1).unflatten(0, (-1, len(r)))

    probe = _edges(network, torch.ones(1, dtype=torch.float64))
    return functions if any(interaction.edge_density(probe) is not None for interaction in interactions) else None


def _edges(network: MACE, r: torch.Tensor) -> Edges:
    """Edges of all distances for every table, one after the other."""
    n_elements = len(network.config.elements) if depends_on_pair(network) else 1
    every = torch.arange(n_elements)
    sender = every.repeat_interleave(n_elements * len(r))
    receiver = every.repeat_interleave(len(r)).repeat(n_elements)
    radial, envelope = network.radial_basis(r.repeat(n_elements**2), sender, receiver)
    nothing = radial.new_zeros(0)
    return Edges(nothing, torch.stack([sender, receiver]), nothing, radial, envelope, 0, None)
