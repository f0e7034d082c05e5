"""The lowered network: the numbers of `mhff.model.mace`, with tables for radial networks, if
wanted, and folded linear maps.

Folded are the factors of linear maps and activations, and, for degrees that nothing else needs, the
linear map after a product and the next layer's map before the convolution. What is heavy is left to
`kernels`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import nn

from mhff.graph import Graph
from mhff.model.mace import MACE
from mhff.ops.flat import split_flat
from mhff.ops.ghosts import exchange_ghosts
from mhff_deploy.lowering.linear import Maps, matrices
from mhff_deploy.lowering.mixing import Skip, build_mixing
from mhff_deploy.lowering.radial import RadialNetworks, RadialTables
from mhff_deploy.lowering.reference import Edges, TorchKernels


class OfAtoms(NamedTuple):
    """What atoms themselves contribute to a layer, `[n, 2l + 1, width]` for each l that has it."""

    skip: list[torch.Tensor]
    residual: list[torch.Tensor]


class LoweredMACE(nn.Module):
    """Per-atom energies, as `mhff.model.mace.MACE.forward` gives them, to the error of the tables,
    or exactly.
    """

    ups: Any
    """Linear maps before each layer's convolution, a `Maps` each; torch does not type what a
    ModuleList holds.
    """
    linears: Any
    """Linear maps after each layer's product, a `Maps` each."""
    skips: Any
    """A `Skip` each."""
    mixings: Any
    """A `NonLinearMixing` or a `ClassicMixing` each."""
    readouts: Any
    elements: torch.Tensor
    kernels: Any
    """A `mhff_deploy.lowering.reference.Kernels`: plain torch until another takes its place."""

    def __init__(self, network: MACE, n_intervals: int) -> None:
        """`network`: in float64 on the CPU, its parameters without gradients; `n_intervals` of the
        tables, 0 for none.
        """
        super().__init__()
        self.config = config = network.config
        self.pair_repulsion, self.reference_energies = (
            network.pair_repulsion,
            network.reference_energies,
        )
        self.node_embedding, self.state_embedding = network.node_embedding, network.state_embedding
        self.state_readout = network.state_readout
        self.readouts = nn.ModuleList(layer.readout or nn.Identity() for layer in network.layers)
        self.ups = nn.ModuleList(
            Maps(matrices(layer.interaction.linear_up)) for layer in network.layers
        )
        self.linears = nn.ModuleList(
            Maps(matrices(layer.product.linear)) for layer in network.layers
        )
        self.skips = nn.ModuleList(Skip(layer.interaction) for layer in network.layers)
        self.mixings = nn.ModuleList(build_mixing(layer.interaction) for layer in network.layers)
        self.radial = RadialTables(network, n_intervals) if n_intervals else RadialNetworks(network)
        having = [config.block(layer).has_density for layer in range(config.n_layers)]
        self.density_columns = [
            sum(having[:layer]) if has else None for layer, has in enumerate(having)
        ]
        self.kernels = self.reference_kernels(network)
        self.register_buffer("elements", torch.arange(len(config.elements)))
        self._merge_maps()

    def reference_kernels(self, network: MACE) -> TorchKernels:
        """The heavy operations in plain torch."""
        convolutions = [layer.interaction.convolution for layer in network.layers]
        products = [layer.product for layer in network.layers]
        return TorchKernels(
            network.harmonics,
            self.radial if isinstance(self.radial, RadialTables) else None,
            [(c.coupling, c.paths_to) for c in convolutions],
            [mixing.before for mixing in self.mixings],
            [(torch.matmul(p.basis, p.weights.detach()), p.monomials, p.row_sum) for p in products],
        )

    def _merge_maps(self) -> None:
        """One map for two where a degree of the features between two layers has no other use."""
        self.merged: list[set[int]] = []
        for layer in range(self.config.n_layers - 1):
            linear, up = self.linears[layer], self.ups[layer + 1]
            merged = {
                l
                for l in range(1, len(up))
                if l >= max(len(self.skips[layer]), len(self.skips[layer + 1]))
            }
            for degree in merged:
                name = linear.names[degree]
                setattr(linear, name, getattr(linear, name) @ getattr(up, name))
            self.merged.append(merged)

    def forward(self, graph: Graph) -> torch.Tensor:
        """Node energies `[n_local, n_heads]`, eV, float64; see `MACE.forward`."""
        species, n_local = graph.species, graph.n_local
        harmonics, r = self.kernels.geometry(graph.edge_vectors)
        order, begin = self.kernels.sort(graph.edge_index[1], n_local)
        ends = species.index_select(0, graph.edge_index.flatten()).unflatten(0, (2, -1))
        radial = self.radial(r, ends)
        edges = Edges(
            graph.edge_index, harmonics, radial.r, species, n_local, order, begin, radial.weights
        )
        degrees, sent, of_atoms = self._before_first_layer(species, n_local, graph.state)
        state_energies = (
            0.0 if self.state_readout is None else self.state_readout(degrees[0][:n_local, 0])
        )
        densities = self._densities(edges, radial.densities)
        energies = []
        if self.pair_repulsion is not None:
            repulsion = self.pair_repulsion(r, ends[0], ends[1])
            energies.append(self.kernels.sum_edges(repulsion, edges).unsqueeze(-1))
        for layer in range(self.config.n_layers):
            if layer:
                of_atoms = self._of_atoms(layer, degrees, sent, species[:n_local])
            degrees, sent = self._layer(
                layer, sent, of_atoms, edges, densities[layer], graph.ghost_plan
            )
            if self.config.has_readout(layer):
                energies.append(self.readouts[layer](degrees[0][:, 0]))
        return self.reference_energies(sum(energies), species[:n_local]) + state_energies

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; energies are float64 in any case."""
        return self.node_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.node_embedding.weight.device

    def embed_nodes(self, species: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Initial scalars `[n_all, n_channels]`."""
        scalars = self.node_embedding(species)
        if self.state_embedding is None:
            return scalars
        return scalars + self.state_embedding(state)

    def _before_first_layer(
        self, species: torch.Tensor, n_local: int, state: torch.Tensor
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], OfAtoms]:
        """Initial features and what is sent in the first layer, of all atoms, and what local atoms
        themselves contribute.

        Where a model takes no state, all this is the same for all atoms of an element: tables, when
        the network is traced.
        """
        kinds = self.elements if self.state_embedding is None else species
        degrees = [self.embed_nodes(kinds, state).unsqueeze(1)]
        sent = self.ups[0](degrees)
        skip, residual = self._of_atoms(0, degrees, sent, kinds)
        if self.state_embedding is not None:
            return (
                degrees,
                sent,
                OfAtoms([x[:n_local] for x in skip], [x[:n_local] for x in residual]),
            )
        local = species[:n_local]
        return (
            _of_kinds(degrees, species),
            _of_kinds(sent, species),
            OfAtoms(_of_kinds(skip, local), _of_kinds(residual, local)),
        )

    def _of_atoms(
        self,
        layer: int,
        degrees: list[torch.Tensor],
        sent: list[torch.Tensor],
        species: torch.Tensor,
    ) -> OfAtoms:
        """What atoms with these species contribute by themselves to a layer."""
        return OfAtoms(self.skips[layer](degrees, species), self.mixings[layer].residual(sent))

    def _densities(self, edges: Edges, of_edges: torch.Tensor | None) -> list[torch.Tensor | None]:
        """Density of each atom, `[n_local, 1, 1]`, for the layers that have one."""
        if of_edges is None:
            return [None] * self.config.n_layers
        rho = self.kernels.sum_edges(of_edges, edges)
        return [
            None if column is None else rho[:, column, None, None]
            for column in self.density_columns
        ]

    def _layer(
        self,
        layer: int,
        sent: list[torch.Tensor],
        of_atoms: OfAtoms,
        edges: Edges,
        density: torch.Tensor | None,
        ghost_plan: torch.Tensor,
    ) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """New features of each degree, `[n_local, 2l + 1, C]`, and what neighbours send in the next
        layer.
        """
        n, local = edges.n_local, edges.species[: edges.n_local]
        features = torch.cat(sent, dim=1)
        if layer:
            features = exchange_ghosts(features, ghost_plan)
        mapped = self.kernels.convolution(layer, features, edges)
        a = self.mixings[layer](mapped, n, density, of_atoms.residual, local)
        skip = of_atoms.skip
        products = self.kernels.contraction(layer, a, local)
        n_degrees = self.config.output_lmax(layer) + 1
        degrees = self.linears[layer](split_flat(products, n, [self.config.n_channels] * n_degrees))
        degrees = [x + skip[l] if l < len(skip) else x for l, x in enumerate(degrees)]
        if layer == self.config.n_layers - 1:
            return degrees, []
        up, merged = self.ups[layer + 1], self.merged[layer]
        # where maps are merged, the features of that degree are what is sent, and nothing else
        # reads them
        return degrees, [
            degrees[l] if l in merged else up.one(l, degrees[l]) for l in range(len(up))
        ]


def _of_kinds(degrees: list[torch.Tensor], species: torch.Tensor) -> list[torch.Tensor]:
    """Features of atoms from those of each element."""
    return [x.index_select(0, species) for x in degrees]
