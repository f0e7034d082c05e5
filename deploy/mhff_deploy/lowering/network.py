"""The lowered network: the same numbers as `mhff.model.mace.MACE`, in fewer operations.

The factors of linear maps and activations are folded into the matrices. Radial networks become
tables if there are any. The heavy operations are left to `kernels`.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from mhff.graph import Graph
from mhff.model.mace import MACE
from mhff.model.network import Network
from mhff.ops.ghosts import exchange_ghosts
from mhff_deploy.lowering.layer import LoweredLayer, OwnTerms
from mhff_deploy.lowering.linear import Maps, matrices
from mhff_deploy.lowering.reference import KernelEdges, Kernels, TorchKernels
from mhff_deploy.radial.networks import RadialNetworks, RadialTables, TabulatedRadial


class LoweredNetwork(Network):
    """Atomic energies as `mhff.model.mace.MACE.forward` gives them, to the error of the tables.

    It shares no tensor with the network it is made from.
    """

    layers: Any
    """Each is a `LoweredLayer`; torch does not type the elements of a ModuleList."""
    elements: torch.Tensor
    edges_at_once = 8000
    """Each takes a fiftieth of an edge's memory in the network that it is made from."""

    def __init__(
        self, network: MACE, tables: RadialTables | None = None, kernels: Kernels | None = None
    ) -> None:
        """`network`: in float64, on the CPU, its parameters without gradients.

        `tables`: of its radial functions; None keeps the radial networks. `kernels`: made from the
        same network and tables; None for plain torch. The lowered network has their precision and
        device.
        """
        super().__init__()
        self.config = network.config
        self.pair_repulsion = copy.deepcopy(network.pair_repulsion)
        self.reference_energies = copy.deepcopy(network.reference_energies)
        self.node_embedding = copy.deepcopy(network.node_embedding)
        self.state_embedding = copy.deepcopy(network.state_embedding)
        self.state_readout = copy.deepcopy(network.state_readout)
        self.radial: TabulatedRadial | RadialNetworks
        if tables is None:
            self.radial = RadialNetworks(network)
        else:
            self.radial = TabulatedRadial(tables)
        self.first_up = Maps(matrices(network.layers[0].interaction.linear_up))
        self.layers = nn.ModuleList(
            LoweredLayer(network, index) for index in range(network.config.n_layers)
        )
        self.register_buffer("elements", torch.arange(len(network.config.elements)))
        self.kernels = TorchKernels(network, tables) if kernels is None else kernels
        self.table_inputs = self.kernels.table_inputs
        self.to(self.kernels.device, self.kernels.dtype)

    def forward(self, graph: Graph) -> torch.Tensor:
        """Node energies `[n_local, n_heads]`, eV, float64, of the local atoms of a graph."""
        local = graph.species[: graph.n_local]
        harmonics, r = self.kernels.geometry(graph.edge_vectors)
        order, begin = self.kernels.sort(graph.edge_index[1], graph.n_local)
        ends = graph.species.index_select(0, graph.edge_index.flatten()).unflatten(0, (2, -1))
        radial = self.radial(r, ends, self.table_inputs)
        edges = KernelEdges(
            edge_index=graph.edge_index,
            harmonics=harmonics,
            r=radial.r,
            species=graph.species,
            n_local=graph.n_local,
            order=order,
            begin=begin,
            weights=radial.weights,
            tables=self.table_inputs,
        )
        densities = None
        if radial.densities is not None:
            densities = self.kernels.sum_edges(radial.densities, edges)
        energies = []
        if self.pair_repulsion is not None:
            repulsion = self.pair_repulsion(r, ends[0], ends[1])
            energies.append(self.kernels.sum_edges(repulsion, edges).unsqueeze(-1))
        initial, sent, own = self._before_first_layer(graph)
        features = initial
        for index, layer in enumerate(self.layers):
            packed = torch.cat(sent, dim=1)
            if index:
                own = layer.own_terms(features, sent, local)
                packed = exchange_ghosts(packed, graph.ghost_plan)
            features, sent = layer(self.kernels, packed, edges, own, densities)
            if layer.readout is not None:
                energies.append(layer.readout(features[0][:, 0]))
        total = self.reference_energies(sum(energies), local)
        if self.state_readout is not None:
            total = total + self.state_readout(initial[0][: graph.n_local, 0])
        return total

    def _before_first_layer(
        self, graph: Graph
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], OwnTerms]:
        """Features and messages of all atoms, and the own terms of local atoms, in the first layer.

        In a model without state inputs they depend on the element only, so they are computed once
        per element, and become constants when the network is traced.
        """
        if self.state_embedding is not None:
            features, sent, own = self._embed(graph.species, graph.state)
            return features, sent, own.of_first(graph.n_local)
        features, sent, own = self._embed(self.elements, graph.state)
        local = graph.species[: graph.n_local]
        return (
            _gather(features, graph.species),
            _gather(sent, graph.species),
            OwnTerms(_gather(own.skip, local), _gather(own.residual, local)),
        )

    def _embed(
        self, species: torch.Tensor, state: torch.Tensor
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], OwnTerms]:
        """Features, messages and own terms of atoms in the first layer."""
        features = [self.embed_nodes(species, state)]
        sent = self.first_up(features)
        return features, sent, self.layers[0].own_terms(features, sent, species)


def _gather(degrees: list[torch.Tensor], species: torch.Tensor) -> list[torch.Tensor]:
    """Features of atoms from those of each element."""
    return [x.index_select(0, species) for x in degrees]
