"""CUDA graphs for small systems: a program's launches are recorded once for each size and replayed
as one.

A step of a few hundred atoms keeps a GPU busy for less time than it takes to launch the step's
hundred kernels one by one. A graph holds the sizes it was recorded with, and the number of edges
changes from step to step, so systems are padded: with atoms that have no weight in the energy, and
edges among each of these atoms and itself that are longer than the cutoff. No such edge touches a
true atom, so true atoms and edges have the numbers that they have without padding (to the rounding
of matrix products, which may sum other numbers of rows in another order);
`tests/unit/test_graphs.py`.

Not replayed, but run as they are: systems with ghosts (all of LAMMPS), systems of more than
`MAX_ATOMS` atoms, and the first two steps of each size. Where torch cannot record a program, as it
waits for the GPU somewhere, a warning says so.
"""

from __future__ import annotations

import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import torch

from mhff.graph import PROGRAM_INPUTS, Field, Level

Results = tuple[torch.Tensor, torch.Tensor]
Program = Callable[..., Results]
Recorder = Callable[[Program, tuple[torch.Tensor, ...]], Callable[[], Results]]
"""Program and inputs that stay where they are in memory, to what computes the results from what is
in them then.
"""

MAX_ATOMS = 2000
"""Of a system that is replayed; an estimate, not measured."""
MAX_GRAPHS = 8
"""That are kept; the one that was used longest ago goes first."""
WAIT = 2
"""Steps of one size before it is recorded, which takes as long as some five steps."""
LEAST_STEP = 64
"""Between two sizes, edges; more edges have 16 sizes between powers of 2."""
EDGES_OF_PADDING_ATOM = 128
"""At most, as many as usual atoms have: one atom's edges are walked along one by one."""


class Sizes(NamedTuple):
    """Numbers of atoms and edges, with padding."""

    n_atoms: int
    n_edges: int


def padded_sizes(n_atoms: int, n_edges: int) -> Sizes:
    """Sizes that a system is padded to: one padding atom or more, and less than a tenth more edges
    where there are many.
    """
    step = max(LEAST_STEP, 1 << max((n_edges - 1).bit_length() - 5, 0))
    return Sizes(n_atoms + -(-step // EDGES_OF_PADDING_ATOM), max(-(-n_edges // step), 1) * step)


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
        """A whole tensor of padding: edges longer than the cutoff, from padding atoms to
        themselves.
        """
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
        """Write the inputs of a step, padding behind them; gives the padded inputs."""
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
        self.program, self.r_max, self.max_atoms = program, r_max, max_atoms
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
        """Record a size that came before; whether there is a recording now."""
        self.steps[sizes] += 1
        if self.steps[sizes] <= WAIT:
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
        # whatever is done only once, such as loading kernels, must not be part of the graph
        program(*inputs)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            results = program(*inputs)

        def replay() -> Results:
            graph.replay()
            return results

        return replay
