"""Kernels in C++ for one lowered network: compiled for its shapes, with its tables and coefficients
packed for them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch

from mhff.model.mace import MACE
from mhff.ops.cpu.build import build
from mhff.ops.cpu.library import load
from mhff_deploy.kernels.shapes import network_shapes
from mhff_deploy.lowering.linear import Maps
from mhff_deploy.lowering.network import LoweredMACE
from mhff_deploy.lowering.radial import RadialTables
from mhff_deploy.lowering.reference import Edges


class NativeKernels:
    """The heavy operations of a lowered network as operators of a shared library;
    `reference.Kernels` in C++.
    """

    def __init__(
        self,
        lowered: LoweredMACE,
        network: MACE,
        dtype: torch.dtype,
        folder: Path,
        march: str = "native",
    ) -> None:
        """Compile for the network's shapes, or find in `folder` what was compiled for them; takes
        seconds.

        `network` is the one that was lowered. Raises CompilerError where the compiler fails.
        """
        self.radial = lowered.radial if isinstance(lowered.radial, RadialTables) else None
        shapes = network_shapes(lowered, network)
        self.library, self.namespace = build(shapes, dtype, folder, march)
        self.operators = load(self.library, self.namespace, shapes)
        self.tables = [
            self._packed(
                f"convolution_{layer}",
                table.coefficients.unflatten(2, (-1, network.config.edge_channels(layer))).to(
                    dtype
                ),
            )
            for layer, table in enumerate(self.radial.tables if self.radial is not None else [])
        ]
        self.maps: list[Maps] = [
            copy.deepcopy(mixing.before).to(dtype) for mixing in lowered.mixings
        ]
        self.packed_maps = [
            (
                self._packed_matrices(maps.tensors()),
                self._packed_matrices([matrix.T for matrix in maps.tensors()]),
            )
            for maps in self.maps
        ]
        self.coefficients = [
            self._packed(f"contraction_{layer}", coefficients.to(dtype))
            for layer, (coefficients, _, _) in enumerate(
                lowered.reference_kernels(network).contractions
            )
        ]

    def _packed(self, name: str, values: torch.Tensor) -> torch.Tensor:
        return self.operators[f"{name}_pack"](values.contiguous())

    def _packed_matrices(self, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.cat(
            [self.operators["multiply_pack"](matrix.contiguous()) for matrix in matrices]
        )

    def geometry(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.geometry`."""
        return self.operators["geometry"](edge_vectors)

    def sort(self, receivers: torch.Tensor, n_local: int) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.sort`."""
        return self.operators["sort_edges"](receivers.contiguous(), n_local)

    def sum_edges(self, values: torch.Tensor, edges: Edges) -> torch.Tensor:
        """See `Kernels.sum_edges`."""
        return self.operators["sum_edges"](
            values.contiguous(), edges.edge_index[1].contiguous(), edges.order, edges.begin
        )

    def convolution(self, layer: int, features: torch.Tensor, edges: Edges) -> torch.Tensor:
        """See `Kernels.convolution`."""
        operator = self.operators[f"convolution_{layer}"]
        of_edges = (edges.harmonics, edges.edge_index, edges.order, edges.begin)
        if self.radial is None:
            messages = operator(features, *of_edges, edges.weights[layer].contiguous())
            return self.maps[layer].flat(messages, edges.n_local)
        packed = self.tables[layer]
        spline = self.radial.tables[layer].spline
        return operator(
            features,
            *of_edges,
            edges.r,
            edges.species,
            self.radial.table_of,
            packed,
            *self.packed_maps[layer],
            spline.r_min,
            spline.r_max,
            spline.n_intervals,
        )

    def contraction(self, layer: int, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """See `Kernels.contraction`."""
        operator = self.operators[f"contraction_{layer}"]
        return operator(a, self.coefficients[layer], species)
