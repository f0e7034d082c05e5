"""Neighbour search in TorchScript: pairs of atoms and images within a radius, by a cell list.

Its cost is proportional to the number of atoms. The box may be triclinic or smaller than the
radius, and atoms may be anywhere. Sender j in the image S has the edge vector x_i - x_j - S @
lattice to receiver i, as in `mhff.neighbours`.
"""

import torch

MAX_CELLS_IN_A_ROW = 1 << 20
"""Larger structures have larger cells, so that a cell's number fits into 64 bits."""
ATOMS_IN_A_PIECE = 2048
"""Atoms whose candidates are held in memory at once."""


def find_pairs(
    positions: torch.Tensor, lattice: torch.Tensor, reach: float, periodic: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points as in `find_images`, then receiver and sending point of pairs within `reach`, `[P]`.

    `positions [n, 3]` and `lattice [3, 3]` (rows) in A, float64. The lattice matters only if
    `periodic`. Pairs are sorted by receiver.
    """
    n_atoms = positions.size(0)
    atom = torch.arange(n_atoms, device=positions.device)
    shifts = torch.zeros_like(positions)
    points = positions
    if periodic:
        atom, shifts = find_images(positions, lattice, reach)
        points = positions.index_select(0, atom) + shifts @ lattice
    receiver, sender = find_close_points(points, n_atoms, reach)
    return atom, shifts, receiver, sender


def find_images(
    positions: torch.Tensor, lattice: torch.Tensor, reach: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """All atoms moved into the box, in their order, then their images within `reach` of it.

    Returns the atom of each, `[m]`, and by how many lattice vectors it is moved, `[m, 3]`.
    """
    inverse = torch.linalg.inv(lattice)
    fractions = positions @ inverse
    shifts = -torch.floor(fractions)
    fractions = fractions + shifts
    atom = torch.arange(positions.size(0), device=positions.device)
    depths = reach * torch.linalg.vector_norm(inverse, dim=0)  # over the heights of the box
    for direction in range(3):
        depth = float(depths[direction])
        along = fractions[:, direction]
        order: list[torch.Tensor] = [torch.arange(atom.size(0), device=atom.device)]
        counts: list[torch.Tensor] = [torch.zeros_like(along)]
        farthest = int(depth) + 1
        for step in range(1, farthest + 1):
            for count in [-step, step]:
                moved = along + count
                near = torch.nonzero((moved > -depth) & (moved < 1.0 + depth)).flatten()
                order.append(near)
                counts.append(torch.full([near.size(0)], float(count)).to(along))
        chosen = torch.cat(order)
        number = torch.cat(counts)
        atom = atom.index_select(0, chosen)
        shifts = shifts.index_select(0, chosen)
        fractions = fractions.index_select(0, chosen)
        shifts[:, direction] += number
        fractions[:, direction] += number
    return atom, shifts


def find_close_points(
    points: torch.Tensor,
    n_atoms: int,
    reach: float,
    max_cells: int = MAX_CELLS_IN_A_ROW,
    piece: int = ATOMS_IN_A_PIECE,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of one of the first `n_atoms` points, and another point within `reach` of it.

    Both are `[P]`, sorted by the first. Points lie in cubic cells at least as wide as `reach`. A
    row of three cells is one range of points in the order of the cells' numbers, so nine ranges
    hold all candidates of an atom. (TorchScript knows a module's constants only as defaults.)
    """
    lowest = points.amin(0)
    width = float((points.amax(0) - lowest).amax()) / max_cells
    cells = torch.floor((points - lowest) / max(width, reach)).to(torch.int64) + 1
    n_cells = cells.amax(0) + 2  # an empty cell at either end, so that no row runs into the next
    n_z = n_cells[2]
    n_yz = n_cells[1] * n_z
    numbers = cells[:, 0] * n_yz + cells[:, 1] * n_z + cells[:, 2]
    steps = torch.arange(-1, 2, device=points.device)
    rows = (steps.unsqueeze(1) * n_yz + steps * n_z).flatten()
    in_order, order = torch.sort(numbers)
    receivers: list[torch.Tensor] = []
    others: list[torch.Tensor] = []
    for first in range(0, n_atoms, piece):
        last = min(first + piece, n_atoms)
        middle = (numbers[first:last].unsqueeze(1) + rows).flatten()
        begin = torch.searchsorted(in_order, middle - 1)
        counts = torch.searchsorted(in_order, middle + 1, right=True) - begin
        which = torch.repeat_interleave(counts)
        offset = begin - torch.cumsum(counts, 0) + counts
        place = torch.arange(which.size(0), device=points.device) + offset.index_select(0, which)
        other = order.index_select(0, place)
        receiver = first + torch.div(which, 9, rounding_mode="floor")
        between = points.index_select(0, other) - points.index_select(0, receiver)
        squares = (between * between).sum(1)
        near = torch.nonzero((squares < reach * reach) & (other != receiver)).flatten()
        receivers.append(receiver.index_select(0, near))
        others.append(other.index_select(0, near))
    return torch.cat(receivers), torch.cat(others)
