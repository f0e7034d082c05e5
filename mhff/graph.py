"""The input of an evaluation: `Graph`, one record with a table of its fields.

An edge (i <- j) has the sender j in `edge_index[0]` and the receiver i in `edge_index[1]`, and

    edge_vectors = x_i - x_j(image)

points from the neighbour to the centre. Both directions of a pair are edges, and so are pairs of an
atom with its own images. Atoms 0 to n_local - 1 are local; ghosts follow them and only send.

The fields of `Graph` state their shape, type, unit and level. Moving to a device, batching,
checking and the inputs of compiled programs (`PROGRAM_INPUTS`) follow from these statements, so a
new input is one new field.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import torch

from mhff.errors import MHFFError

ONE_RANK = 0
"""First entry of a ghost plan, its handle, if every ghost is an image of a local atom."""
DEFAULT_STATE = (0.0, 1.0)
"""Total charge in e and spin multiplicity 2S + 1: neutral, no unpaired electron."""


class Level(StrEnum):
    """The kind of object that a row of a field describes."""

    EDGE = "edge"
    ATOM = "atom"
    GHOST = "ghost"
    STRUCTURE = "structure"


@dataclass(frozen=True)
class Field:
    """The requirements on one tensor of an evaluation."""

    shape: tuple[int | str, ...]
    """Numbers, and names of sizes: E, n_all, n_local, n_plan = 1 + n_ghosts, S, n_heads."""
    level: Level
    dtype: torch.dtype | None = torch.int64
    """None: the precision of the evaluator."""
    unit: str = ""
    valid_below: tuple[str, ...] = ()
    """Sizes that bound the indices in each row, or in all of the tensor if there is only one."""
    default: tuple[float, ...] | float | None = None
    """A row that repeats if the field is not given; None for a field that must be given."""
    in_program: bool = True
    """Whether it is an input of compiled programs."""
    name: str = ""

    @property
    def size_axis(self) -> int:
        """The dimension that grows with the number of edges, atoms or structures."""
        return next(axis for axis, size in enumerate(self.shape) if isinstance(size, str))


def _field(*shape: int | str, **schema: Any) -> Any:
    """A dataclass field with its `Field`."""
    return dataclasses.field(metadata={"schema": Field(shape, **schema)})


@dataclass(frozen=True, eq=False)
class Graph:
    """One structure, or several side by side; `make_graph` makes one and fills in defaults."""

    n_local: int
    edge_vectors: torch.Tensor = _field("E", 3, level=Level.EDGE, dtype=None, unit="A")
    edge_index: torch.Tensor = _field(2, "E", level=Level.EDGE, valid_below=("n_all", "n_local"))
    species: torch.Tensor = _field("n_all", level=Level.ATOM, valid_below=("n_elements",))
    ghost_plan: torch.Tensor = _field("n_plan", level=Level.GHOST, default=ONE_RANK)
    state: torch.Tensor = _field(
        "n_all", 2, level=Level.ATOM, dtype=torch.float64, unit="e, 2S+1", default=DEFAULT_STATE
    )
    structure: torch.Tensor = _field(
        "n_local", level=Level.ATOM, valid_below=("S",), default=0, in_program=False
    )
    cells: torch.Tensor = _field(
        "S", 3, 3, level=Level.STRUCTURE, dtype=None, unit="A", default=0.0, in_program=False
    )

    @property
    def n_ghosts(self) -> int:
        """Number of atoms that are images, or another rank's."""
        return self.ghost_plan.shape[0] - 1

    @property
    def n_structures(self) -> int:
        """Number of structures."""
        return self.cells.shape[0]

    @property
    def structure_of_edge(self) -> torch.Tensor:
        """Structure that each edge belongs to, `[E]`."""
        return self.structure.index_select(0, self.edge_index[1])

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Graph:
        """The same graph on a device, fields without a type of their own in `dtype`."""
        moved = {
            field.name: getattr(self, field.name).to(device, field.dtype or dtype)
            for field in FIELDS
        }
        return Graph(self.n_local, **moved)

    def with_edges(self, edge_vectors: torch.Tensor, edge_index: torch.Tensor) -> Graph:
        """The same atoms with other edges."""
        edges = {"edge_vectors": edge_vectors, "edge_index": edge_index}
        return Graph(**(vars(self) | edges))  # dataclasses.replace takes far longer

    def outside_inference_mode(self) -> Graph:
        """The same graph in tensors that autograd accepts; copies those made in inference mode."""
        if not any(getattr(self, field.name).is_inference() for field in FIELDS):
            return self
        copies = {field.name: getattr(self, field.name).clone() for field in FIELDS}
        return Graph(self.n_local, **copies)


FIELDS: tuple[Field, ...] = tuple(
    dataclasses.replace(field.metadata["schema"], name=field.name)
    for field in dataclasses.fields(Graph)
    if "schema" in field.metadata
)
"""The table of tensors in a graph."""

HEAD_WEIGHTS = Field(("n_local", "n_heads"), Level.ATOM, torch.float64, name="head_weights")
"""The other input of an evaluation: the weight of each head for each local atom."""

with torch.inference_mode(False):
    # made here, because a tensor made while a program is traced would be a fake one
    _DEFAULT_ROWS = {
        field.name: torch.tensor(field.default, dtype=field.dtype or torch.float64)
        for field in FIELDS
        if field.default is not None
    }
"""One row of each field's default."""

N_BEFORE_WEIGHTS = 3
"""Head weights follow edge vectors, edge index and species in the inputs of programs."""

_IN_PROGRAM = [field for field in FIELDS if field.in_program]
PROGRAM_INPUTS: tuple[Field, ...] = (
    *_IN_PROGRAM[:N_BEFORE_WEIGHTS],
    HEAD_WEIGHTS,
    *_IN_PROGRAM[N_BEFORE_WEIGHTS:],
)
"""Inputs of compiled programs, in order; new ones come last."""


def make_graph(
    edge_vectors: torch.Tensor,
    edge_index: torch.Tensor,
    species: torch.Tensor,
    **others: torch.Tensor,
) -> Graph:
    """A graph of the given fields, the others filled with their defaults.

    `ghost_plan` decides how many of the atoms are ghosts.
    """
    given = {"edge_vectors": edge_vectors, "edge_index": edge_index, "species": species, **others}
    n_plan = others["ghost_plan"].shape[0] if "ghost_plan" in others else 1
    n_local = species.shape[0] + 1 - n_plan
    sizes = {"n_all": species.shape[0], "n_local": n_local, "n_plan": 1, "S": 1}
    for field in FIELDS:
        if field.name not in given:
            given[field.name] = _filled(field, sizes, edge_vectors)
    return Graph(n_local, **given)


def graph_without_edges(species: torch.Tensor, dtype: torch.dtype, **others: torch.Tensor) -> Graph:
    """The part of a graph that steps share, on the device of `species`; see `Graph.with_edges`."""
    vectors = species.new_zeros((0, 3), dtype=dtype)
    return make_graph(vectors, species.new_zeros((2, 0)), species, **others)


def _filled(field: Field, sizes: Mapping[str, int], like: torch.Tensor) -> torch.Tensor:
    """The default of a field, on the device of the edge vectors."""
    row = _DEFAULT_ROWS[field.name].to(like.device, field.dtype or like.dtype)
    return row.expand([sizes[size] if isinstance(size, str) else size for size in field.shape])


def program_inputs(
    graph: Graph, head_weights: torch.Tensor, device: torch.device, dtype: torch.dtype
) -> tuple[torch.Tensor, ...]:
    """Tensors in the order of `PROGRAM_INPUTS`, detached, on a device; floats in `dtype`."""
    values = [getattr(graph, field.name) for field in _IN_PROGRAM]
    values.insert(N_BEFORE_WEIGHTS, head_weights)
    inputs = []
    for field, tensor in zip(PROGRAM_INPUTS, values, strict=True):
        wanted = field.dtype or dtype
        if tensor.dtype is not wanted or tensor.device != device:
            tensor = tensor.to(device, wanted)
        if tensor.requires_grad:
            tensor = tensor.detach()
        inputs.append(tensor.contiguous())
    return tuple(inputs)


def from_program_inputs(inputs: Sequence[torch.Tensor]) -> tuple[Graph, torch.Tensor]:
    """Graph and head weights of a program's inputs: the inverse of `program_inputs`."""
    named = {field.name: value for field, value in zip(PROGRAM_INPUTS, inputs, strict=True)}
    head_weights = named.pop(HEAD_WEIGHTS.name)
    n_local = head_weights.shape[0]
    sizes = {"n_all": named["species"].shape[0], "n_local": n_local, "S": 1}
    for field in FIELDS:
        if not field.in_program:
            named[field.name] = _filled(field, sizes, named["edge_vectors"])
    return Graph(n_local, **named), head_weights


def collate(graphs: Sequence[Graph]) -> Graph:
    """Several graphs without ghosts side by side; atoms and structures are renumbered."""
    if any(graph.n_ghosts for graph in graphs):
        raise ValueError("expected graphs without ghosts; a batch has local atoms only")
    atom_offsets = np.cumsum([0, *(graph.n_local for graph in graphs)]).tolist()
    structure_offsets = np.cumsum([0, *(graph.n_structures for graph in graphs)]).tolist()
    offsets = {"n_all": atom_offsets, "n_local": atom_offsets, "S": structure_offsets}
    joined = {}
    for field in FIELDS:
        tensors = [getattr(graph, field.name) for graph in graphs]
        if field.level is Level.GHOST:
            joined[field.name] = tensors[0]
            continue
        steps = offsets.get(field.valid_below[0]) if field.valid_below else None
        if steps is not None:
            tensors = [tensor + step for tensor, step in zip(tensors, steps, strict=False)]
        joined[field.name] = torch.cat(tensors, dim=field.size_axis)
    return Graph(atom_offsets[-1], **joined)


def check_graph(graph: Graph, head_weights: torch.Tensor, n_elements: int, n_heads: int) -> None:
    """Raise MHFFError unless the program inputs have the shapes, types and ranges of the table.

    Compiled programs do not check, and would read out of bounds. Ranges are checked here for
    tensors on the CPU; on a GPU, torch's own kernels check them.
    """
    sizes: dict[int | str, int] = {
        "E": graph.edge_vectors.shape[0],
        "n_local": graph.n_local,
        "n_all": graph.n_local + max(0, graph.n_ghosts),
        "n_plan": 1 + max(0, graph.n_ghosts),
        "n_heads": n_heads,
        "n_elements": n_elements,
    }
    _check_field(HEAD_WEIGHTS, head_weights, sizes)
    for field in _IN_PROGRAM:
        _check_field(field, getattr(graph, field.name), sizes)
    plan = graph.ghost_plan
    if graph.n_ghosts and plan.is_cpu and int(plan[0]) == ONE_RANK:
        _check_range("ghost_plan (owners)", plan[1:], [graph.n_local])


def _check_field(field: Field, tensor: torch.Tensor, sizes: Mapping[int | str, int]) -> None:
    shape = [sizes.get(size, size) for size in field.shape]  # numbers are not among the sizes
    if [*tensor.shape] != shape:
        raise MHFFError(
            f"expected {field.name} [{', '.join(map(str, field.shape))}] of shape {shape}, got "
            f"{list(tensor.shape)}; give it that shape"
        )
    if field.dtype is torch.int64 and tensor.dtype is not torch.int64:
        raise MHFFError(
            f"expected {field.name} of type torch.int64, got {tensor.dtype}; convert it"
        )
    if field.valid_below:
        _check_range(field.name, tensor, [sizes[size] for size in field.valid_below])


def _check_range(name: str, indices: torch.Tensor, bounds: Sequence[int]) -> None:
    """Check each row of `[rows, n]` against its bound, or all of `[n]` against the only one."""
    if not indices.is_cpu or not indices.numel():
        return
    rows = [indices] if len(bounds) == 1 else indices.unbind()
    for row, bound in enumerate(bounds):
        smallest, largest = torch.aminmax(rows[row])
        lowest = smallest.item()
        highest = largest.item()
        if lowest < 0 or highest >= bound:
            wrong = lowest if lowest < 0 else highest
            place = name if len(bounds) == 1 else f"{name}[{row}]"
            raise MHFFError(
                f"{place} contains {wrong}, but valid indices are 0 to {bound - 1}; correct the "
                "graph"
            )
