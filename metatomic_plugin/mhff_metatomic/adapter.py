# ruff: noqa: UP006, UP035, UP045 - metatomic and TorchScript compare annotations with typing's
"""One evaluation in metatomic's form, for `torch.jit.script`: `Adapter`.

TorchScript reads this source, so it uses only what TorchScript knows. A program gives the gradient
of the energy without autograd, but engines ask autograd for forces and stresses. So the edge
vectors v enter the energy by a sum over edges, g . (v - v'), in which the gradient g and the
numbers v' = v are constants: it is zero and has the gradient g.
"""

from collections.abc import Mapping
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
from metatensor.torch import Labels, TensorMap
from metatomic.torch import ModelOutput, NeighborListOptions, System
from torch import nn

from mhff.graph import ONE_RANK
from mhff.neighbours import MIN_DISTANCE
from mhff_metatomic.samples import atom_samples, energy_map

ENORMOUS = 1e308
"""A factor with which derivatives become infinite, or too large to be overlooked."""


class Batch(NamedTuple):
    """Systems side by side, as a program takes them."""

    vectors: torch.Tensor
    """Edge vectors `[E, 3]`, A, with their autograd graph."""
    edge_index: torch.Tensor
    """Sender and receiver of each edge, `[2, E]`."""
    species: torch.Tensor
    """Index of each atom's element, `[n]`."""
    sizes: torch.Tensor
    """Number of atoms in each system, `[S]`."""


class Adapter(nn.Module):
    """Energies by heads, each of which is an output; a `ModelInterface` of metatomic.

    The energy of a system, or of its selected atoms, has exact first derivatives. Of the energies
    of single atoms only the sum has: derivatives of anything else come out as infinity or NaN.
    """

    species_of_number: torch.Tensor
    rows: torch.Tensor
    state: torch.Tensor
    plan: torch.Tensor

    def __init__(
        self,
        program: nn.Module,
        rows: Mapping[str, torch.Tensor],
        species_of_number: torch.Tensor,
        state: tuple[float, float],
        r_max: float,
    ) -> None:
        """Take a program and what is the same at each step.

        `program`: called with `PROGRAM_INPUTS`; `rows`: head weights `[n_heads]` of each output;
        `species_of_number`: index of the element with each atomic number; `state`: total charge and
        spin multiplicity of all systems; `r_max`: in A.
        """
        super().__init__()
        self.program = program
        self.row_of: Dict[str, int] = {name: index for index, name in enumerate(rows)}
        self.register_buffer("rows", torch.stack([*rows.values()]))
        self.register_buffer("species_of_number", species_of_number)
        self.register_buffer("state", torch.tensor([state], dtype=torch.float64))
        self.register_buffer("plan", torch.tensor([ONE_RANK], dtype=torch.int64))
        self.neighbours = NeighborListOptions(cutoff=r_max, full_list=True, strict=True)
        self.min_distance = MIN_DISTANCE
        self.enormous = ENORMOUS

    def requested_neighbor_lists(self) -> List[NeighborListOptions]:
        """Both directions of every pair within r_max."""
        return [self.neighbours]

    def forward(
        self,
        systems: List[System],
        outputs: Dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,
    ) -> Dict[str, TensorMap]:
        batch = self.batch(systems)
        samples = atom_samples(batch.sizes, selected_atoms)
        results = torch.jit.annotate(Dict[str, TensorMap], {})
        for name, output in outputs.items():
            row = self.rows[self.row_of[name]]
            results[name] = self.energies(batch, row, samples, output.sample_kind == "atom")
        return results

    def batch(self, systems: List[System]) -> Batch:
        """The systems side by side."""
        vectors: List[torch.Tensor] = []
        index: List[torch.Tensor] = []
        species: List[torch.Tensor] = []
        sizes: List[int] = []
        n_atoms = 0
        for system in systems:
            pairs = system.get_neighbor_list(self.neighbours)
            # a pair's vector points from its first atom, the sender, to its second
            atoms = [pairs.samples.column("first_atom"), pairs.samples.column("second_atom")]
            vectors.append(pairs.values.reshape(-1, 3))
            index.append(torch.stack(atoms).to(torch.int64) + n_atoms)
            species.append(self.species_of_number.index_select(0, system.types.to(torch.int64)))
            sizes.append(len(system))
            n_atoms += len(system)
        batch = Batch(
            torch.cat(vectors), torch.cat(index, 1), torch.cat(species), torch.tensor(sizes)
        )
        self.check_distances(batch)
        return batch

    def energies(
        self, batch: Batch, row: torch.Tensor, samples: torch.Tensor, of_atoms: bool
    ) -> TensorMap:
        """Energies of the sampled atoms, or their sums over systems, by one row of head weights."""
        n_systems = batch.sizes.size(0)
        first = torch.cumsum(batch.sizes, 0) - batch.sizes
        systems = samples[:, 0]
        atoms = first.index_select(0, systems) + samples[:, 1]
        n_atoms = batch.species.size(0)
        weights = torch.zeros(n_atoms, row.size(0), dtype=torch.float64)
        weights = weights.index_copy(0, atoms, row.expand(atoms.size(0), -1))
        energy_of_atom, zero_of_edge = self.run(batch, weights)
        energies = energy_of_atom.index_select(0, atoms)
        system_of_atom = torch.repeat_interleave(batch.sizes)
        system_of_edge = system_of_atom.index_select(0, batch.edge_index[1])
        sums = torch.zeros(n_systems, dtype=torch.float64)
        sums = sums.index_add(0, system_of_edge, zero_of_edge)
        dtype = batch.vectors.dtype
        if of_atoms:
            counts = torch.bincount(systems, minlength=n_systems).clamp(min=1)
            energies = energies + (sums / counts).index_select(0, systems)
            guard = self.guard(batch).index_select(0, atoms)
            energies = energies + (guard - torch.roll(guard, [1]))
            return energy_map(energies.to(dtype), ["system", "atom"], samples)
        sums = sums.index_add(0, systems, energies)
        return energy_map(sums.to(dtype), ["system"], torch.arange(n_systems).unsqueeze(1))

    def run(self, batch: Batch, weights: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Energy of each atom, `[n]`, without derivatives, and g . (v - v') of each edge, `[E]`."""
        vectors = batch.vectors.data  # not detach(), which freezing a script drops
        state = self.state.expand(batch.species.size(0), -1).contiguous()
        with torch.no_grad():
            node_energies, gradients = self.program(
                vectors, batch.edge_index, batch.species, weights, self.plan, state
            )
        zero = (gradients * (batch.vectors - vectors)).sum(1).to(torch.float64)
        return (weights * node_energies).sum(1), zero

    def guard(self, batch: Batch) -> torch.Tensor:
        """Zero for each atom, `[n]`, with an enormous gradient.

        Differences of these, around a ring of atoms, cancel in the gradient of the atoms' sum.
        """
        zero = (batch.vectors - batch.vectors.data).sum(1).to(torch.float64)
        zeros = torch.zeros(batch.species.size(0), dtype=torch.float64)
        return self.enormous * zeros.index_add(0, batch.edge_index[1], zero)

    def check_distances(self, batch: Batch) -> None:
        """Raise ValueError, naming two atoms, if a pair is closer than `MIN_DISTANCE`."""
        if batch.vectors.size(0) == 0:
            return
        distances = torch.linalg.vector_norm(batch.vectors.data, dim=1)
        if bool(distances.amin() < self.min_distance):
            first = int(distances.argmin())
            sender = int(batch.edge_index[0, first])
            receiver = int(batch.edge_index[1, first])
            raise ValueError(
                f"atoms {sender} and {receiver} (or periodic images of them) coincide; move or "
                "remove one of them"
            )
