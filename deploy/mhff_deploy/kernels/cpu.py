"""Kernels in C++ for one lowered network, with its coefficients packed for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from mhff.errors import MHFFError
from mhff.model.mace import MACE
from mhff.ops.cpu.build import CompilerError, start_build
from mhff.ops.cpu.levels import NATIVE, best
from mhff.ops.cpu.library import before_loading, load
from mhff.ops.registration import Call
from mhff_deploy.artefact.constants import PACK_MATRIX, Packing
from mhff_deploy.artefact.tables import table_packings, unpacked
from mhff_deploy.kernels.shapes import program_shapes
from mhff_deploy.lowering.linear import Maps
from mhff_deploy.lowering.mixing import GateCall, gates_of, message_map
from mhff_deploy.lowering.reference import KernelEdges, product_coefficients
from mhff_deploy.radial.inputs import TableInputs
from mhff_deploy.radial.networks import RadialTables


@contextmanager
def compiler_reported() -> Iterator[None]:
    """Raises MHFFError if the C++ compiler fails within."""
    try:
        yield
    except CompilerError as error:
        raise MHFFError(
            f"the C++ compiler could not make the kernels ({error}); use g++ 11 or newer"
        ) from error


class CppKernels:
    """`reference.Kernels` as operators of a shared library."""

    shapes = staticmethod(program_shapes)

    def __init__(
        self,
        network: MACE,
        tables: RadialTables | None,
        dtype: torch.dtype,
        folder: Path,
        levels: Sequence[str] = (NATIVE,),
        say: Callable[[str], None] = lambda step: None,
    ) -> None:
        """Kernels for the network's shapes, which `folder` has, or which are compiled meanwhile.

        They can be traced within `traced`, and run after `load`. Compiling takes seconds, and is
        announced by `say`. `network`: in float64, on the CPU; `tables`: of its radial functions, or
        None if radial weights are given for each edge; `levels`: processors to compile for
        (`mhff.ops.cpu.levels`), the best of which is loaded. Raises MHFFError if this machine lacks
        what all levels need, and if the compiler cannot say what it compiles for.
        """
        self.dtype = dtype
        self.device = torch.device("cpu")
        self._shapes = self.shapes(network, tables is not None)
        self._level = best(levels)
        with compiler_reported():
            self._building = start_build(self._shapes, dtype, folder, levels, say)
        self.namespace = self._building.namespace
        self.operators: dict[str, Call] = {}
        self.packings: list[tuple[torch.Tensor, Packing]] = []
        """Every tensor in the form of a kernel, which it has after `load`, and how it is made."""
        interactions = [layer.interaction for layer in network.layers]
        self.knots = None if tables is None else (tables.spline.r_min, tables.spline.r_max)
        self.table_inputs = None if tables is None else self._packed_tables(unpacked(tables, dtype))
        self.maps = [message_map(interaction).to(dtype) for interaction in interactions]
        self.packed_maps = [self._packed_both_ways(maps) for maps in self.maps]
        self.packed_gates = {
            layer: self._packed_both_ways(gate.after.to(dtype))
            for layer, gate in gates_of(network).items()
            if f"gate_{layer}" in self._shapes
        }
        self.coefficients = [
            self._packed(f"contraction_{index}", product_coefficients(layer.product))
            for index, layer in enumerate(network.layers)
        ]

    @contextmanager
    def traced(self) -> Iterator[None]:
        """Within, the kernels can be traced, whether they have been compiled or not."""
        with before_loading(self.namespace, self._shapes) as self.operators:
            yield

    def load(self) -> dict[str, bytes]:
        """Wait for the compiler and make the kernels ready to run; the libraries, by level.

        Raises MHFFError if the compiler fails.
        """
        with compiler_reported():
            libraries = self._building.libraries()
        self.operators = load(libraries[self._level], self.namespace, self._shapes)
        for constant, packing in self.packings:
            constant.data = packing.pack(self.namespace)
        return {level: path.read_bytes() for level, path in libraries.items()}

    def _packed(self, name: str, values: torch.Tensor) -> torch.Tensor:
        return self._recorded(Packing(f"{name}_pack", (values.to(self.dtype).contiguous(),)))

    def _packed_matrices(self, matrices: Sequence[torch.Tensor]) -> torch.Tensor:
        return self._recorded(Packing(PACK_MATRIX, tuple(matrices)))

    def _packed_both_ways(self, maps: Maps) -> tuple[torch.Tensor, torch.Tensor]:
        """The matrices of all degrees, and their transposes."""
        matrices = maps.tensors()
        return (
            self._packed_matrices(matrices),
            self._packed_matrices([matrix.T for matrix in matrices]),
        )

    def _packed_tables(self, tables: TableInputs) -> TableInputs:
        packings = zip(table_packings(tables), tables.weights, strict=True)
        weights = (self._recorded(packing, torch.zeros_like(table)) for packing, table in packings)
        return replace(tables, weights=tuple(weights))

    def _recorded(self, packing: Packing, stand_in: torch.Tensor | None = None) -> torch.Tensor:
        constant = packing.stand_in() if stand_in is None else stand_in
        self.packings.append((constant, packing))
        return constant

    def geometry(self, edge_vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.geometry`."""
        return self.operators["geometry"](edge_vectors)

    def sort(self, receivers: torch.Tensor, n_local: int) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Kernels.sort`."""
        return self.operators["sort_edges"](receivers.contiguous(), n_local)

    def sum_edges(self, values: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """See `Kernels.sum_edges`."""
        return self.operators["sum_edges"](
            values.contiguous(), edges.edge_index[1].contiguous(), edges.order, edges.begin
        )

    def convolution(self, layer: int, features: torch.Tensor, edges: KernelEdges) -> torch.Tensor:
        """See `Kernels.convolution`."""
        operator = self.operators[f"convolution_{layer}"]
        of_edges = (edges.harmonics, edges.edge_index, edges.order, edges.begin)
        tables = edges.tables
        if tables is None or self.knots is None:
            messages = operator(features, *of_edges, edges.weights[layer].contiguous())
            return self.maps[layer].flat(messages, edges.n_local)
        return operator(
            features,
            *of_edges,
            edges.r,
            edges.species,
            tables.table_of,
            tables.weights[layer],
            *self.packed_maps[layer],
            *self.knots,
        )

    def gate(self, layer: int) -> GateCall:
        """See `Kernels.gate`."""
        operator, maps = self.operators[f"gate_{layer}"], self.packed_gates[layer]
        return lambda mapped, scale, residual: operator(
            mapped, scale.contiguous(), *(own.contiguous() for own in residual), *maps
        )

    def contraction(self, layer: int, a: torch.Tensor, species: torch.Tensor) -> torch.Tensor:
        """See `Kernels.contraction`."""
        operator = self.operators[f"contraction_{layer}"]
        return operator(a, self.coefficients[layer], species)
