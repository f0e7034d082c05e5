"""CUDA graphs for small systems: a program's launches are recorded once per size, then replayed.

A step of a few hundred atoms keeps a GPU busy for less time than it takes to launch the step's
hundred kernels one by one. A graph holds the sizes it was recorded with, but the number of edges
changes from step to step. So systems are padded with atoms that have no weight in the energy, and
with edges from each of these atoms to itself that are longer than the cutoff. No such edge touches
a true atom, so true atoms and edges keep their numbers, up to the rounding of matrix products that
sum over another number of rows.

Systems with ghosts (LAMMPS on several ranks), systems of more than `MAX_ATOMS` atoms, and the first
steps of each size run without a graph. If torch cannot record a program, a warning says why.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import torch

from mhff.graph import PROGRAM_INPUTS, Field, Level

Results = tuple[torch.Tensor, torch.Tensor]
Program = Callable[..., Results]
"""Tensors in the order of `mhff.graph.PROGRAM_INPUTS` to node energies and edge gradients."""
Recorder = Callable[[Program, tuple[torch.Tensor, ...]], Callable[[], Results]]
"""Turns a program and inputs at fixed places in memory into a function that recomputes results."""

MAX_ATOMS = 2000
"""Number of atoms above which systems are not replayed: an estimate, not measured."""
MAX_GRAPHS = 8
"""Number of graphs that are kept; the least recently used one is dropped first."""
STEPS_BEFORE_RECORDING = 2
"""Steps of one size that run without a graph: recording takes as long as some five steps."""
MIN_EDGE_STEP = 64
"""Smallest distance between two padded numbers of edges; there are 16 per power of two."""
EDGES_OF_PADDING_ATOM = 128
"""Largest number of edges of a padding atom, as many as ordinary atoms have."""


class Sizes(NamedTuple):
    """Numbers of atoms and edges, with padding."""

    n_atoms: int
    n_edges: int


def padded_sizes(n_atoms: int, n_edges: int) -> Sizes:
    """Sizes that a system is padded to: at least one atom more, at most a tenth more edges."""
    step = max(MIN_EDGE_STEP, 1 << max((n_edges - 1).bit_length() - 5, 0))
    n_padding_atoms = math.ceil(step / EDGES_OF_PADDING_ATOM)
    n_steps = max(math.ceil(n_edges / step), 1)
    return Sizes(n_atoms + n_padding_atoms, n_steps * step)


class Slot:
    """Program inputs of one padded size, at one place in memory."""

    def __init__(self, sizes: Sizes, example: tuple[torch.Tensor, ...], r_max: float) -> None:
        """`example`: inputs of the true size; `r_max`: the model's cutoff, A."""
        self.padding = [
            self._padding(field, tensor, sizes, example, r_max)
            for field, tensor in zip(PROGRAM_INPUTS, example, strict=True)
        ]
        self.inputs = tuple(padding.clone() for padding in self.padding)

    @staticmethod
    def _padding(
        field: Field,
        tensor: torch.Tensor,
        sizes: Sizes,
        example: tuple[torch.Tensor, ...],
        r_max: float,
    ) -> torch.Tensor:
        """A tensor of padding: edges from padding atoms to themselves, longer than the cutoff."""
        if field.level is Level.GHOST:
            return tensor.clone()
        if field.name == "edge_vectors":
            return tensor.new_tensor([1.01 * r_max, 0, 0]).repeat(sizes.n_edges, 1)
        if field.name == "edge_index":
            n_true = len(named_input(example, "species"))
            steps = torch.arange(sizes.n_edges, device=tensor.device)
            own = n_true + steps % (sizes.n_atoms - n_true)
            return torch.stack([own, own]).to(tensor.dtype)
        n_rows = sizes.n_edges if field.level is Level.EDGE else sizes.n_atoms
        return tensor.new_tensor(field.default or 0).expand(n_rows, *tensor.shape[1:]).clone()

    def fill(self, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Write the inputs of a step, followed by padding; returns the padded inputs."""
        for field, place, values, padding in zip(
            PROGRAM_INPUTS, self.inputs, inputs, self.padding, strict=True
        ):
            if field.level is Level.GHOST:
                continue
            axis = field.size_axis
            n_true = values.shape[axis]
            place.narrow(axis, 0, n_true).copy_(values)
            if field.level is Level.EDGE:  # their number changes from step to step
                n_padding = place.shape[axis] - n_true
                rest = padding.narrow(axis, n_true, n_padding)
                place.narrow(axis, n_true, n_padding).copy_(rest)
        return self.inputs


def named_input(inputs: tuple[torch.Tensor, ...], name: str) -> torch.Tensor:
    """The program input of a name."""
    return inputs[[field.name for field in PROGRAM_INPUTS].index(name)]


class GraphedProgram:
    """A program for a GPU that replays small systems without ghosts; one thread at a time."""

    def __init__(
        self,
        program: Program,
        r_max: float,
        record: Recorder | None = None,
        max_atoms: int = MAX_ATOMS,
    ) -> None:
        """`r_max`: the model's cutoff, A; `record`: by default, a CUDA graph."""
        self.program = program
        self.r_max = r_max
        self.max_atoms = max_atoms
        self.record = record or CudaRecorder()
        self.steps: Counter[Sizes] = Counter()
        self.slots: OrderedDict[Sizes, tuple[Slot, Callable[[], Results]]] = OrderedDict()
        self.works = True

    def __call__(self, *inputs: torch.Tensor) -> Results:
        """The program's results; its inputs are `mhff.graph.PROGRAM_INPUTS`."""
        n_atoms = len(named_input(inputs, "head_weights"))
        n_edges = len(named_input(inputs, "edge_vectors"))
        no_ghosts = len(named_input(inputs, "ghost_plan")) == 1
        if not (self.works and no_ghosts and 0 < n_atoms <= self.max_atoms):
            return self.program(*inputs)
        sizes = padded_sizes(n_atoms, n_edges)
        if sizes not in self.slots and not self._recorded(sizes, inputs):
            return self.program(*inputs)
        self.slots.move_to_end(sizes)
        slot, replay = self.slots[sizes]
        slot.fill(inputs)
        node_energies, edge_gradients = replay()
        # copies, because the next step writes over them
        return node_energies[:n_atoms].clone(), edge_gradients[:n_edges].clone()

    def _recorded(self, sizes: Sizes, inputs: tuple[torch.Tensor, ...]) -> bool:
        """Record a size that came before; returns whether there is a recording now."""
        self.steps[sizes] += 1
        if self.steps[sizes] <= STEPS_BEFORE_RECORDING:
            return False
        slot = Slot(sizes, inputs, self.r_max)
        try:
            self.slots[sizes] = slot, self.record(self.program, slot.fill(inputs))
        except RuntimeError as error:
            self.works = False
            reason = str(error).splitlines()[0]
            warnings.warn(
                f"small systems run slower than they could, without CUDA graphs ({reason})",
                stacklevel=4,
            )
            return False
        if len(self.slots) > MAX_GRAPHS:
            self.slots.popitem(last=False)
        return True


class CudaRecorder:
    """Records CUDA graphs that share their memory: no two run at once, and results are copied."""

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, program: Program, inputs: tuple[torch.Tensor, ...]) -> Callable[[], Results]:
        """See `Recorder`."""
        # work that is done only once, such as loading kernels, must not be part of the graph
        program(*inputs)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            results = program(*inputs)

        def replay() -> Results:
            graph.replay()
            return results

        return replay
