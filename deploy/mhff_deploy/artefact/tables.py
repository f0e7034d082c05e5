"""The tables of a program, which it has or makes for the elements that it meets.

Compiled code and the constants beside it hold for all elements of a model. Tables of radial
functions for every pair of 89 elements would take gigabytes, so a file holds those of few elements
at most. For others they are made from the radial networks that travel in the file, when a structure
first has such an element, as exact as was asked when the program was compiled. Nothing is compiled
for that. They stay in memory and are not written anywhere: to make them takes no longer than a few
steps of a large system.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import safetensors.torch
import torch

from mhff.errors import TooManyElementsError, listing
from mhff.graph import Graph, program_inputs
from mhff.ops.registration import find
from mhff_deploy.artefact.constants import Packing
from mhff_deploy.artefact.content import Manifest
from mhff_deploy.artefact.cuda_graphs import Program
from mhff_deploy.radial.inputs import TableInputs

if TYPE_CHECKING:
    from mhff_deploy.radial.networks import RadialNetworks, RadialTables

MAX_TABLE_BYTES = 1 << 31
"""Largest size of the tables in memory."""
TABLE_DIMENSIONS = 3
"""Dimensions of the tables of a layer; other inputs have fewer."""


class ProgramTables:
    """Tables for the elements that a program has met; implements `choice.TabulatedProgram`."""

    def __init__(
        self, program: Program, manifest: Manifest, radial: bytes, stored: bytes | None = None
    ) -> None:
        """`radial`: content of `RadialNetworks.to_bytes`.

        `stored`: content of `to_bytes` with tables of all elements, if the file has it.
        """
        self.program = program
        self.manifest = manifest
        self.error = manifest.tables.measured
        self.n_intervals = manifest.tables.n_intervals
        self._radial = radial
        self._networks: RadialNetworks | None = None
        self._unpacked: TableInputs | None = None
        self._inputs: TableInputs | None = None
        self._known = torch.zeros(len(manifest.capabilities.elements), dtype=torch.bool)
        if stored is not None:
            self._inputs = packed(_stored_tables(stored), manifest.kernels)
            self._known.fill_(True)
        self._knows_all = stored is not None
        """Whether there are tables for all elements: most programs need not look at every step."""

    def of(self, species: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Inputs of the program for atoms of these species, made now if need be.

        Raises TooManyElementsError if there is no room for them, and InexactTablesError if none are
        as exact as was asked.
        """
        if not self._knows_all and not bool(self._known.index_select(0, species).all()):
            self.add(species.unique().tolist())
        if self._inputs is None:
            self.add([0])  # a rank may have no atoms
        return () if self._inputs is None else self._inputs.tensors

    def add(self, species: Iterable[int]) -> None:
        """Have tables for these species, beside those that there are if there is room."""
        used = set(species)
        known = set(self._known.nonzero().squeeze(1).tolist())
        if used <= known:
            return
        wanted = sorted(known | used)
        if self._bytes(len(wanted)) > MAX_TABLE_BYTES:
            wanted = sorted(used)
            self._check_size(wanted)
        self._make(wanted)

    def pack(self, tables: RadialTables) -> TableInputs:
        """See `choice.TabulatedProgram.pack`."""
        return packed(unpacked(tables, self.manifest.capabilities.dtype), self.manifest.kernels)

    def gradients(
        self, graph: Graph, head_weights: torch.Tensor, tables: TableInputs
    ) -> torch.Tensor:
        """See `choice.TabulatedProgram.gradients`."""
        dtype = self.manifest.capabilities.dtype
        inputs = program_inputs(graph, head_weights, torch.device("cpu"), dtype)
        with torch.no_grad():
            return self.program(*inputs, *tables.tensors)[1]

    def to_bytes(self) -> bytes:
        """The tables that were made, as data for the kernels of any processor."""
        tensors = () if self._unpacked is None else self._unpacked.tensors
        return safetensors.torch.save({_name(index): x for index, x in enumerate(tensors)})

    @property
    def networks(self) -> RadialNetworks:
        """The radial networks, in float64."""
        if self._networks is None:
            # here, because programs that hold their tables open faster without
            from mhff_deploy.radial.networks import radial_networks

            self._networks = radial_networks(self._radial, "the radial networks of a program")
        return self._networks

    def _make(self, species: Sequence[int]) -> None:
        from mhff_deploy.radial.choice import MIN_INTERVALS, choose_tables

        begin = self.n_intervals or MIN_INTERVALS
        with torch.inference_mode(False), torch.enable_grad():
            chosen = choose_tables(self.networks, self, species, self.manifest.tables.asked, begin)
            self._unpacked = unpacked(chosen.tables, self.manifest.capabilities.dtype)
            self._inputs = packed(self._unpacked, self.manifest.kernels)
        self.error = chosen.error
        self.n_intervals = chosen.tables.spline.n_intervals
        self._known.fill_(not self.networks.config.radial_of_pairs)
        self._known[torch.tensor(species)] = True
        self._knows_all = bool(self._known.all())
        find(self.manifest.kernels, "release_memory")()  # of the structures of the measurement

    def _bytes(self, n_elements: int) -> int:
        """Size of the tables of some elements, if they have as many intervals as now."""
        itemsize = self.manifest.capabilities.dtype.itemsize
        return self.networks.table_bytes(n_elements, self.n_intervals, itemsize)

    def _check_size(self, species: Sequence[int]) -> None:
        if self._bytes(len(species)) <= MAX_TABLE_BYTES:
            return
        elements = self.manifest.capabilities.elements
        raise TooManyElementsError(
            f"expected structures of few elements at a time, got {len(species)}: "
            f"{listing(elements[index] for index in species)}, whose tables would take "
            f"{self._bytes(len(species)) / 1e9:.0f} GB; recompile with --table-error 0, which "
            "keeps the radial networks"
        )


def unpacked(tables: RadialTables, dtype: torch.dtype) -> TableInputs:
    """Tables as inputs of a program in a precision, not yet in the form of kernels."""
    densities = tables.densities
    return TableInputs(
        tables.table_of,
        torch.tensor([tables.spline.n_intervals]),
        tuple(table.coefficients.to(dtype).contiguous() for table in tables.weights),
        None if densities is None else densities.coefficients.to(dtype).flatten(0, 1).contiguous(),
    )


def packed(tables: TableInputs, namespace: str) -> TableInputs:
    """The same tables in the form of the kernels of a namespace."""
    weights = tuple(packing.pack(namespace) for packing in table_packings(tables))
    return replace(tables, weights=weights)


def table_packings(tables: TableInputs) -> list[Packing]:
    """How the tables of each layer take the form of its kernels; their shape stays the same."""
    return [
        Packing(f"convolution_{layer}_pack", (table,)) for layer, table in enumerate(tables.weights)
    ]


def _stored_tables(content: bytes) -> TableInputs:
    """The inverse of `ProgramTables.to_bytes`."""
    stored = safetensors.torch.load(content)
    # copies, because only torch's own memory begins at cache lines
    tensors = [stored[_name(index)].clone() for index in range(len(stored))]
    n_layers = sum(tensor.dim() == TABLE_DIMENSIONS for tensor in tensors)
    return TableInputs.of(tensors, n_layers)


def _name(index: int) -> str:
    return f"input_{index}"
