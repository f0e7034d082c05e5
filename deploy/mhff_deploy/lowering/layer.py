"""One layer of a lowered network, around its kernels."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from mhff.model.mace import MACE
from mhff.ops.flat import split_flat
from mhff_deploy.lowering.linear import Maps, matrices
from mhff_deploy.lowering.mixing import Skip, build_mixing
from mhff_deploy.lowering.reference import KernelEdges, Kernels


class OwnTerms(NamedTuple):
    """Terms of a layer from atoms' own features: `[n, 2l + 1, width]` for each l that has one."""

    skip: list[torch.Tensor]
    residual: list[torch.Tensor]

    def of_first(self, n: int) -> OwnTerms:
        """The terms of the first n atoms."""
        return OwnTerms([x[:n] for x in self.skip], [x[:n] for x in self.residual])


class LoweredLayer(nn.Module):
    """Convolution, mixing, contraction and update of a layer."""

    def __init__(self, network: MACE, index: int) -> None:
        super().__init__()
        config = network.config
        layer = network.layers[index]
        self.index = index
        self.product_widths = [config.n_channels] * (config.output_lmax(index) + 1)
        self.density_column = sum(config.block(before).has_density for before in range(index))
        """Column of this layer's density, if it has one, among those of all layers."""
        self.has_density = config.block(index).has_density
        self.skip = Skip(layer.interaction)
        self.mixing = build_mixing(layer.interaction, index)
        self.readout = copy.deepcopy(layer.readout)
        up: list[torch.Tensor] = []
        n_features = max(1, len(self.skip))
        if index < config.n_layers - 1:
            following = network.layers[index + 1].interaction
            up = matrices(following.linear_up)
            n_features = max(n_features, len(Skip(following)))
        self.update = Update(matrices(layer.product.linear), up, n_features)

    def own_terms(
        self, features: list[torch.Tensor], sent: list[torch.Tensor], species: torch.Tensor
    ) -> OwnTerms:
        """Contributions of atoms with these features and species to this layer."""
        return OwnTerms(self.skip(features, species), self.mixing.residual(sent))

    def forward(
        self,
        kernels: Kernels,
        sent: torch.Tensor,
        edges: KernelEdges,
        own: OwnTerms,
        densities: torch.Tensor | None,
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Features of local atoms, and the features that they send in the next layer (`Update`).

        `sent [n_all, D, edge_channels]`: features that neighbours send; `densities [n_local, k]`:
        of the k layers that have one.
        """
        n = edges.n_local
        species = edges.species[:n]
        density = None
        if self.has_density and densities is not None:
            density = densities[:, self.density_column]
        mapped = kernels.convolution(self.index, sent, edges)
        a = self.mixing(kernels, mapped, density, own.residual, species)
        products = kernels.contraction(self.index, a, species)
        return self.update(split_flat(products, n, self.product_widths), own.skip)


class Update(nn.Module):
    """The linear map after a product, the skip term, and the upward map of the next layer.

    Features of degree `n_features` and above are only sent to neighbours, so one matrix replaces
    their two maps.
    """

    def __init__(
        self, linear: Sequence[torch.Tensor], up: Sequence[torch.Tensor], n_features: int
    ) -> None:
        """`linear`, `up`: matrices by degree (`up`: none in the last layer)."""
        super().__init__()
        self.n_features = n_features
        self.features = Maps(linear[:n_features])
        self.sent_features = Maps(up[:n_features])
        self.sent_products = Maps(
            [
                after @ before
                for after, before in zip(linear[n_features:], up[n_features:], strict=False)
            ]
        )

    def forward(
        self, products: list[torch.Tensor], skip: list[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Features of the first `n_features` degrees, and sent features of every degree of `up`."""
        features = [
            x + skip[degree] if degree < len(skip) else x
            for degree, x in enumerate(self.features(products))
        ]
        sent = self.sent_features(features) + self.sent_products(products[self.n_features :])
        return features, sent
