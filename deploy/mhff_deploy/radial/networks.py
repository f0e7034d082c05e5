"""Radial functions of a lowered network: tables of the distance, or the radial networks themselves.

They depend on the elements of both ends or on none; `RadialTables.table_of` says which. The
networks alone, without the rest of the model, are enough to make tables of any elements, and travel
in artefacts for that (`RadialNetworks.to_bytes`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from mhff import tensorfile
from mhff.model.config import ModelConfig
from mhff.model.convolution import RadialInputs
from mhff.model.interaction import Interaction
from mhff.model.mace import MACE
from mhff.neighbours import MIN_DISTANCE
from mhff.ops.spline import Spline
from mhff_deploy.radial.inputs import TableInputs, choose_table
from mhff_deploy.radial.tables import Functions, Table, interpolate, interpolate_given, tabulate

RADIAL_PARTS = ("radial_network", "density_network", "source", "target")
"""Modules of an interaction that make up its radial functions."""
CONSTANTS = "constants."
WEIGHTS = "weights."
"""Beginnings of the names of tensors in `RadialNetworks.to_bytes`."""
TYPICAL_INTERVALS = 256
"""Number of intervals from which the size of tables is estimated before they are made."""


@dataclass(frozen=True)
class RadialTables:
    """Tables of all radial functions of a network, in float64, on the CPU.

    They begin at `MIN_DISTANCE`, below which atoms coincide, so they hold at every distance.
    """

    spline: Spline
    """The knots of all tables."""
    weights: tuple[Table, ...]
    """Convolution weights of each layer, `paths * edge_channels` wide."""
    densities: Table | None
    """Edge densities of the layers that have one; None if no layer has."""
    table_of: torch.Tensor
    """Index of the table by the species of sender and receiver, `[n_elements, n_elements]`."""


class RadialValues(NamedTuple):
    """Radial functions at the distances of E edges."""

    r: torch.Tensor
    """Distances `[E]`, A; inside the tables if there are any."""
    weights: tuple[torch.Tensor, ...]
    """Convolution weights of each layer, `[E, paths, channels]`; none if kernels read tables."""
    densities: torch.Tensor | None
    """Edge densities of the layers that have one, `[E, layers]`; None if no layer has."""


class TabulatedRadial(nn.Module):
    """Edge densities from tables; convolution weights are left to the kernels' own tables.

    Densities are a few numbers per edge, so plain torch is quick enough.
    """

    coefficients: torch.Tensor
    table_of: torch.Tensor

    def __init__(self, tables: RadialTables) -> None:
        super().__init__()
        self.spline = tables.spline
        self.has_densities = tables.densities is not None
        if tables.densities is not None:
            self.register_buffer("coefficients", tables.densities.coefficients)
            self.register_buffer("table_of", tables.table_of)

    def forward(
        self, r: torch.Tensor, ends: torch.Tensor, given: TableInputs | None = None
    ) -> RadialValues:
        """From distances `[E]` and the species of sender and receiver, `[2, E]`.

        `given`: tables to read instead of the module's own.
        """
        r = r.clamp(self.spline.r_min, self.spline.r_max)
        if not self.has_densities:
            return RadialValues(r, (), None)
        if given is None:
            return RadialValues(r, (), self._densities(r, ends))
        return RadialValues(r, (), interpolate_given(given, self.spline, ends, r))

    def _densities(self, r: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
        table = Table(self.coefficients, self.spline)
        return interpolate(table, choose_table(self.table_of, ends), r)


class RadialNetworks(nn.Module):
    """The radial networks, evaluated for each edge."""

    interactions: Any
    """Each is an `Interaction`; torch does not type the elements of a ModuleList."""

    def __init__(self, network: MACE) -> None:
        super().__init__()
        self.config = network.config
        self.constants = network.constants
        self.has_densities = network.config.has_densities
        self.radial_basis = copy.deepcopy(network.radial_basis)
        self.n_paths = [layer.interaction.convolution.n_paths for layer in network.layers]
        self.interactions = nn.ModuleList(
            _radial_part(layer.interaction) for layer in network.layers
        )

    def forward(
        self, r: torch.Tensor, ends: torch.Tensor, given: TableInputs | None = None
    ) -> RadialValues:
        """From distances `[E]` and the species of sender and receiver, `[2, E]`.

        `given`: None, because there are no tables.
        """
        inputs = self._inputs(r, ends)
        weights = [
            interaction.radial_weights(inputs).unflatten(1, (n_paths, -1))
            for interaction, n_paths in zip(self.interactions, self.n_paths, strict=True)
        ]
        densities = _densities(self.interactions, inputs) if self.has_densities else None
        return RadialValues(r, tuple(weights), densities)

    @property
    def width(self) -> int:
        """Number of functions in the tables of all layers."""
        return sum(interaction.weight_width for interaction in self.interactions)

    def table_bytes(
        self, n_elements: int, n_intervals: int = TYPICAL_INTERVALS, itemsize: int = 4
    ) -> int:
        """Size of tables of some elements, of numbers of `itemsize` bytes."""
        n_tables = n_elements**2 if self.config.radial_of_pairs else 1
        return itemsize * n_tables * n_intervals * self.width

    def weight_functions(self, pairs: torch.Tensor) -> list[Functions]:
        """Convolution weights of each layer, `[n_tables, n, paths * edge_channels]`.

        `pairs [n_tables, 2]`: species of sender and receiver.
        """
        return [self._weights(interaction, pairs) for interaction in self.interactions]

    def edge_densities(self, pairs: torch.Tensor) -> Functions:
        """Edge densities of the layers that have one, `[n_tables, n, layers]`."""

        def densities(r: torch.Tensor) -> torch.Tensor:
            inputs = self._of_pairs(pairs, r)
            return _densities(self.interactions, inputs).unflatten(0, (-1, len(r)))

        return densities

    def to_bytes(self) -> bytes:
        """The networks as data: the architecture, its constants and the radial weights."""
        tensors = {CONSTANTS + name: value for name, value in self.constants.items()}
        tensors |= {WEIGHTS + name: _shortened(value) for name, value in self.state_dict().items()}
        return tensorfile.pack({"architecture": self.config.model_dump(mode="json")}, tensors)

    def _weights(self, interaction: Interaction, pairs: torch.Tensor) -> Functions:
        def weights(r: torch.Tensor) -> torch.Tensor:
            inputs = self._of_pairs(pairs, r)
            return interaction.radial_weights(inputs).unflatten(0, (-1, len(r)))

        return weights

    def _of_pairs(self, pairs: torch.Tensor, r: torch.Tensor) -> RadialInputs:
        """All distances for each pair of species, one pair after the other."""
        return self._inputs(r.repeat(len(pairs)), pairs.T.repeat_interleave(len(r), dim=1))

    def _inputs(self, r: torch.Tensor, ends: torch.Tensor) -> RadialInputs:
        """Inputs of the networks for distances `r [E]` between the species `ends [2, E]`."""
        values, envelope = self.radial_basis(r, ends[0], ends[1])
        return RadialInputs(ends, values, envelope)


def radial_networks(content: bytes, name: str) -> RadialNetworks:
    """The networks in `RadialNetworks.to_bytes`, in float64; `name` is for error messages."""
    fields, tensors = tensorfile.unpack(content, name)
    constants = _beginning_with(CONSTANTS, tensors)
    with torch.device("meta"):  # the other weights of the model are not here
        networks = RadialNetworks(MACE(ModelConfig(**fields["architecture"]), constants))
    networks.load_state_dict(_beginning_with(WEIGHTS, tensors), assign=True)
    return networks.double().requires_grad_(False)


def tabulate_radial(network: MACE, n_intervals: int) -> RadialTables:
    """Tables of a network's radial functions; `network` in float64, on the CPU."""
    every = range(len(network.config.elements))
    return tabulate_elements(RadialNetworks(network), n_intervals, every)


def tabulate_elements(
    networks: RadialNetworks, n_intervals: int, species: Iterable[int]
) -> RadialTables:
    """Tables for all pairs of these species."""
    return tabulate_pairs(networks, n_intervals, all_pairs(networks.config, species))


def all_pairs(config: ModelConfig, species: Iterable[int]) -> torch.Tensor:
    """All pairs of some species `[n, 2]`, or one of them if radial functions depend on none."""
    kept = torch.tensor(list(species))
    pairs = torch.cartesian_prod(kept, kept).reshape(-1, 2)
    return pairs if config.radial_of_pairs else pairs[:1]


def tabulate_pairs(networks: RadialNetworks, n_intervals: int, pairs: torch.Tensor) -> RadialTables:
    """Tables for some pairs of species `[n, 2]`."""
    config = networks.config
    n_elements = len(config.elements)
    table_of = torch.zeros(n_elements, n_elements, dtype=torch.int64)
    if config.radial_of_pairs:
        table_of[pairs[:, 0], pairs[:, 1]] = torch.arange(len(pairs))
    spline = Spline(MIN_DISTANCE, config.r_max, n_intervals)
    densities = networks.edge_densities(pairs) if networks.has_densities else None
    return RadialTables(
        spline,
        tuple(tabulate(functions, spline) for functions in networks.weight_functions(pairs)),
        None if densities is None else tabulate(densities, spline),
        table_of,
    )


def _radial_part(interaction: Interaction) -> Interaction:
    """A copy of an interaction with its radial networks only."""
    others = [part for name, part in interaction.named_children() if name not in RADIAL_PARTS]
    own = dict(interaction.named_parameters(recurse=False))
    return copy.deepcopy(interaction, {id(part): None for part in [*others, *own.values()]})


def _densities(interactions: Iterable[Interaction], inputs: RadialInputs) -> torch.Tensor:
    """Edge densities of the layers that have one, `[E, layers]`; at least one has."""
    columns = [each.edge_density(inputs) for each in interactions if each.has_density]
    return torch.cat(columns, dim=1)


def _shortened(values: torch.Tensor) -> torch.Tensor:
    """The same numbers in float32 if that changes none."""
    short = values.float()
    return short if torch.equal(short.double(), values) else values


def _beginning_with(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors whose names begin so, without that beginning."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
