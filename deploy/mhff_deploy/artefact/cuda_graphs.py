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
`MOST_ATOMS` atoms, and the first two steps of each size. Where torch cannot record a program, as it
waits for the GPU somewhere, a warning says so.
"""

from __future__ import annotations

import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import torch

from mhff.model.state import DEFAULT_STATE

Results = tuple[torch.Tensor, torch.Tensor]
Program = Callable[..., Results]
Recorder = Callable[[Program, tuple[torch.Tensor, ...]], Callable[[], Results]]
"""Program and inputs that stay where they are in memory, to what computes the results from what is
in them then.
"""

MOST_ATOMS = 2000
"""Of a system that is replayed; an estimate, not measured."""
MOST_GRAPHS = 8
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
    """Inputs of one size, `[E, 3]`, `[2, E]`, `[N]`, `[N, H]`, the plan and `[N, 2]`, at one place
    in memory.
    """

    def __init__(self, sizes: Sizes, example: tuple[torch.Tensor, ...], r_max: float) -> None:
        vectors, edge_index, species, weights, self.plan, state = example
        n_true, device = len(species), vectors.device
        own = n_true + torch.arange(sizes.n_edges, device=device) % (sizes.n_atoms - n_true)
        self.far = vectors.new_tensor([1.01 * r_max, 0, 0]).repeat(sizes.n_edges, 1)
        self.own = torch.stack([own, own]).to(edge_index.dtype)
        self.vectors, self.edge_index = self.far.clone(), self.own.clone()
        self.species, self.weights = (
            species.new_zeros(sizes.n_atoms),
            weights.new_zeros(sizes.n_atoms, weights.shape[1]),
        )
        self.state = state.new_tensor(DEFAULT_STATE).repeat(sizes.n_atoms, 1)

    def fill(
        self,
        edge_vectors: torch.Tensor,
        edge_index: torch.Tensor,
        species: torch.Tensor,
        head_weights: torch.Tensor,
        ghost_plan: torch.Tensor,
        state: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        """Write the inputs of a step, padding behind them; gives the padded inputs."""
        n_edges = len(edge_vectors)
        torch.cat([edge_vectors, self.far[n_edges:]], out=self.vectors)
        torch.cat([edge_index, self.own[:, n_edges:]], dim=1, out=self.edge_index)
        for place, values in (
            (self.species, species),
            (self.weights, head_weights),
            (self.state, state),
        ):
            place[: len(values)].copy_(values)
        return self.vectors, self.edge_index, self.species, self.weights, self.plan, self.state


class GraphedProgram:
    """A compiled program for a GPU that replays small systems without ghosts; for one thread at a
    time.
    """

    def __init__(
        self,
        program: Program,
        r_max: float,
        record: Recorder | None = None,
        most_atoms: int = MOST_ATOMS,
    ) -> None:
        """`r_max`: the model's cutoff, A; `record`: by default, a CUDA graph."""
        self.program, self.r_max, self.most_atoms = program, r_max, most_atoms
        self.record = record or CudaRecorder()
        self.steps: Counter[Sizes] = Counter()
        self.slots: OrderedDict[Sizes, tuple[Slot, Callable[[], Results]]] = OrderedDict()
        self.works = True

    def __call__(self, *inputs: torch.Tensor) -> Results:
        """The program's results; its inputs as `mhff_deploy.compiling.trace` lists them."""
        edge_vectors, _, species, head_weights, ghost_plan, _ = inputs
        n_atoms, n_edges = len(head_weights), len(edge_vectors)
        no_ghosts = len(ghost_plan) == 1 and len(species) == n_atoms
        if not (self.works and no_ghosts and 0 < n_atoms <= self.most_atoms):
            return self.program(*inputs)
        sizes = padded_sizes(n_atoms, n_edges)
        if sizes not in self.slots and not self._recorded(sizes, inputs):
            return self.program(*inputs)
        self.slots.move_to_end(sizes)
        slot, replay = self.slots[sizes]
        slot.fill(*inputs)
        node_energies, edge_gradients = replay()
        return node_energies[:n_atoms].clone(), edge_gradients[
            :n_edges
        ].clone()  # the next step writes over them

    def _recorded(self, sizes: Sizes, inputs: tuple[torch.Tensor, ...]) -> bool:
        """Record a size that came before; whether there is a recording now."""
        self.steps[sizes] += 1
        if self.steps[sizes] <= WAIT:
            return False
        slot = Slot(sizes, inputs, self.r_max)
        try:
            self.slots[sizes] = slot, self.record(self.program, slot.fill(*inputs))
        except RuntimeError as error:
            self.works = False
            reason = str(error).splitlines()[0]
            warnings.warn(
                f"small systems run slower than they could, without CUDA graphs ({reason})",
                stacklevel=4,
            )
            return False
        if len(self.slots) > MOST_GRAPHS:
            self.slots.popitem(last=False)
        return True


class CudaRecorder:
    """Records CUDA graphs, which share their memory: no two of them run at once, and nobody keeps
    what they write.
    """

    def __init__(self) -> None:
        self.pool = torch.cuda.graph_pool_handle()

    def __call__(self, program: Program, inputs: tuple[torch.Tensor, ...]) -> Callable[[], Results]:
        """See `Recorder`."""
        program(
            *inputs
        )  # whatever is done once only, as loading of kernels, must not be part of the graph
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self.pool):
            results = program(*inputs)

        def replay() -> Results:
            graph.replay()
            return results

        return replay
