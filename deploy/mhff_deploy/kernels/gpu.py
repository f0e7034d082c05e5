"""Kernels in Triton for one lowered network on an NVIDIA GPU, with its tables and coefficients."""

from __future__ import annotations

from pathlib import Path

import torch

from mhff.model.mace import MACE
from mhff.ops.convolution import sum_over_edges
from mhff.ops.flat import split_flat
from mhff.ops.gpu.module import REGISTERS
from mhff.ops.gpu.operators import make_contraction, make_convolution, make_geometry, sort_edges
from mhff.ops.registration import Call
from mhff.ops.shapes import ContractionShape, ConvolutionShape, GeometryShape
from mhff_deploy.kernels.shapes import network_shapes
from mhff_deploy.lowering.mixing import GateCall, gates_of, message_map
from mhff_deploy.lowering.reference import KernelEdges, product_coefficients
from mhff_deploy.radial.networks import RadialTables


class TritonKernels:
    """`reference.Kernels` as operators of Triton, on an NVIDIA GPU; the code holds the spline."""

    table_inputs = None

    def __init__(
        self,
        network: MACE,
        tables: RadialTables,
        dtype: torch.dtype,
        device: torch.device,
        folder: Path,
        registers: int = REGISTERS,
    ) -> None:
        """Write the network's kernels, unless `folder` has them.

        Triton compiles them when they first run, in seconds. `network`: in float64, on the CPU;
        `tables`: of its radial functions. Raises MHFFError if there is no Triton.
        """
        self.dtype = dtype
        self.device = device
        self.table_of = tables.table_of.to(device)
        self.tables = [
            table.coefficients.to(device, dtype).contiguous() for table in tables.weights
        ]
        self.maps = [message_map(layer.interaction).to(device, dtype) for layer in network.layers]
        self.gates = {layer: gate.to(device, dtype) for layer, gate in gates_of(network).items()}
        self.l_max = network.config.l_max
        self.n_channels = network.config.n_channels
        self.coefficients: list[torch.Tensor] = []
        self.convolutions: list[Call] = []
        self.contractions: list[Call] = []
        for shape in network_shapes(network, in_tables=True).values():
            if isinstance(shape, GeometryShape):
                self._geometry = make_geometry(shape, dtype, folder)
            elif isinstance(shape, ConvolutionShape):
                operator = make_convolution(shape, tables.spline, dtype, folder, registers)
                self.convolutions.append(operator)
            elif isinstance(shape, ContractionShape):
                product = network.layers[len(self.contractions)].product
                coefficients = product_coefficients(product)
                operator, packed = make_contraction(shape, coefficients, dtype, folder)
                self.contractions.append(operator)
                self.coefficients.append(packed.to(device))

    def geometry(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.geometry`."""
        return self._geometry(edge_vectors.contiguous())

    def sort(self, receivers: torch.Tensor, n_local: int) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.sort`."""
        return sort_edges(receivers, n_local)

    def sum_edges(self, values: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """See `Kernels.sum_edges`."""
        return sum_over_edges(values, edges.edge_index, edges.n_local)

    def convolution(self, layer: int, features: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """See `Kernels.convolution`."""
        return self.maps[layer].flat(self.messages(layer, features, edges), edges.n_local)

    def messages(self, layer: int, features: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """Flat messages of a layer."""
        of_edges = (
            edges.harmonics.contiguous(),
            edges.edge_index.contiguous(),
            edges.order,
            edges.begin,
            edges.r.contiguous(),
        )
        table = (edges.species.contiguous(), self.table_of, self.tables[layer])
        return self.convolutions[layer](features.contiguous(), *of_edges, *table)

    def gate(self, layer: int) -> GateCall:
        """See `Kernels.gate`."""
        return self.gates[layer]

    def contraction(self, layer: int, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """See `Kernels.contraction`."""
        degrees = split_flat(a, species.shape[0], [self.n_channels] * (self.l_max + 1))
        return self.contractions[layer](degrees, self.coefficients[layer], species.contiguous())
