"""One step in OpenMM's units, for `torch.jit.script`: `Step`.

TorchScript reads this source, so it uses only what TorchScript knows.
"""

from collections.abc import Sequence

import torch
from torch import nn

from mhff.neighbours import MARGIN, MIN_DISTANCE
from mhff_openmm.script.neighbours import find_pairs


class Step(nn.Module):
    """Energy and forces from positions, box and the values of the global parameters.

    The list of neighbours has a skin and is kept between calls. OpenMM gives each Context a copy of
    this module, so the list belongs to one trajectory.
    """

    species: torch.Tensor
    plan: torch.Tensor
    state: torch.Tensor
    subset: torch.Tensor
    offset: torch.Tensor
    matrix: torch.Tensor

    def __init__(
        self,
        programs: Sequence[nn.Module],
        inputs: Sequence[torch.Tensor],
        subset: torch.Tensor | None,
        head_map: tuple[torch.Tensor, torch.Tensor],
        lengths: tuple[float, float],
        units: tuple[float, float],
    ) -> None:
        """Take a program and everything that is the same at each step.

        `programs`: a compiled one, `near_edges` and `results_of_edges` of `mhff.ops.lists`;
        `inputs`: species, ghost plan and state; `subset`: indices of the atoms, or None for all of
        them; `head_map`: offset `[n_heads]` and matrix `[n_heads, n_parameters]` that turn the
        parameters into head weights; `lengths`: r_max and skin, A; `units`: kJ/mol per eV and A per
        nm.
        """
        super().__init__()
        self.program, self.near_edges, self.results_of_edges = programs
        species, plan, state = inputs
        self.register_buffer("species", species)
        self.register_buffer("plan", plan)
        self.register_buffer("state", state)
        self.acts_on_all = subset is None
        self.register_buffer("subset", torch.zeros(0) if subset is None else subset)
        offset, matrix = head_map
        self.register_buffer("offset", offset)
        self.register_buffer("matrix", matrix)
        self.r_max, self.skin = lengths
        self.energy_unit, self.length_unit = units
        self.min_distance = MIN_DISTANCE
        self.margin = 1.0 + MARGIN
        self.n_searches = 0
        nothing = torch.zeros(0, 3, dtype=torch.float64, device=species.device)
        self.points = torch.zeros(0, dtype=torch.int32, device=species.device)
        self.images = nothing
        self.senders = torch.zeros(0, dtype=torch.int32, device=species.device)
        self.begin = torch.zeros(1, dtype=torch.int64, device=species.device)
        self.searched_at = nothing
        self.searched_in = nothing

    def forward(
        self, positions: torch.Tensor, lattice: torch.Tensor, periodic: bool, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Energy `[]`, kJ/mol, and forces `[n, 3]`, kJ/mol/nm, float64.

        `positions [n, 3]` and box vectors `lattice [3, 3]` in nm; `values [n_parameters]` keep
        their autograd graph, so that the energy has derivatives with respect to them.
        """
        device = self.species.device
        # .data, because OpenMM freezes scripts, and freezing drops every detach
        here = positions.data.to(device, torch.float64) * self.length_unit
        if not self.acts_on_all:
            here = here.index_select(0, self.subset)
        box = lattice.data.to(device, torch.float64) * self.length_unit
        vectors, index = self.edges(here, box, periodic)
        weights = self.offset + self.matrix @ values.to(device, torch.float64)
        rows = weights.data.expand(here.size(0), -1).contiguous()
        node_energies, gradients = self.program(
            vectors, index, self.species, rows, self.plan, self.state
        )
        energy = (weights * node_energies.sum(0)).sum() * self.energy_unit
        force_unit = self.energy_unit * self.length_unit
        forces, _ = self.results_of_edges(
            gradients, index, node_energies, rows, self.energy_unit, force_unit
        )
        self.check_finite(energy, forces)
        if not self.acts_on_all:
            forces = torch.zeros_like(positions).to(forces).index_copy(0, self.subset, forces)
        return energy, forces

    def edges(
        self, positions: torch.Tensor, lattice: torch.Tensor, periodic: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Edge vectors `[E, 3]`, A, and sender and receiver `[2, E]` of edges below the cutoff."""
        if not self.pairs_hold(positions, lattice, periodic):
            self.search(positions, lattice, periodic)
        shifts = self.images @ lattice
        vectors, index, checks = self.near_edges(
            positions,
            positions,  # whether atoms have moved too far is known
            self.points,
            shifts,
            self.senders,
            self.begin,
            self.r_max,
            self.min_distance,
            0.0,
        )
        if bool(checks[1] > 0):
            self.refuse(vectors, index)
        return vectors, index

    def pairs_hold(self, positions: torch.Tensor, lattice: torch.Tensor, periodic: bool) -> bool:
        """Whether the pairs of the last search still hold every edge.

        If the box has changed, atoms are compared with where the change of the box alone would have
        taken them. That shortens no distance by more than the factor 1 + |inverse - 1|, the norm
        that of the inverse change. False for NaN, which the search then refuses.
        """
        if self.searched_at.size(0) == 0:
            return False
        expected = self.searched_at
        shrinking = 1.0
        if periodic and not torch.equal(lattice, self.searched_in):
            change = torch.linalg.solve(self.searched_in, lattice)
            inverse = torch.linalg.inv(change)
            shrinking += float(torch.linalg.matrix_norm(inverse - torch.eye(3).to(inverse)))
            expected = expected @ change
        moved = positions - expected
        farthest = float((moved * moved).sum(1).amax().sqrt())
        return farthest <= 0.5 * ((self.r_max + self.skin) / shrinking - self.r_max)

    def search(self, positions: torch.Tensor, lattice: torch.Tensor, periodic: bool) -> None:
        """Find the pairs within cutoff and skin."""
        finite = bool(torch.isfinite(positions).all()) and bool(torch.isfinite(lattice).all())
        if not finite:
            raise ValueError(
                "expected finite positions and cell, got NaN or infinity; check the structure"
            )
        reach = (self.r_max + self.skin) * self.margin
        atoms, self.images, receivers, senders = find_pairs(positions, lattice, reach, periodic)
        counts = torch.bincount(receivers, minlength=positions.size(0))
        self.points = atoms.to(torch.int32)
        self.senders = senders.to(torch.int32)
        self.begin = torch.cat([torch.zeros_like(counts[:1]), torch.cumsum(counts, 0)])
        self.searched_at = positions
        self.searched_in = lattice
        self.n_searches += 1

    def refuse(self, vectors: torch.Tensor, index: torch.Tensor) -> None:
        """Raise ValueError, naming two atoms that coincide."""
        distances = torch.linalg.vector_norm(vectors, dim=1)
        first = int(distances.argmin())
        raise ValueError(
            f"atoms {int(index[0, first])} and {int(index[1, first])} (or periodic images of them) "
            f"coincide: they are {float(distances[first])} A apart; move or remove one of them"
        )

    def check_finite(self, energy: torch.Tensor, forces: torch.Tensor) -> None:
        """Raise ValueError unless energy and forces are finite."""
        if not (bool(torch.isfinite(forces).all()) and bool(torch.isfinite(energy))):
            raise ValueError(
                f"expected finite numbers, got the energy {float(energy)} kJ/mol; check that no "
                "two atoms coincide and that the head weights are finite, or use a shorter time "
                "step"
            )
