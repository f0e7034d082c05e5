"""Pairs of neighbours: atoms, and periodic images of atoms, that are closer than a cutoff.

Sender j in the image S (whole numbers; the rows of `lattice` are the periodic lattice vectors) has
the edge vector x_i - x_j - S @ lattice to receiver i. It points from the neighbour to the centre;
neighbour lists elsewhere return its negative, D.
"""

from __future__ import annotations

import numpy as np
import torch
from vesin import NeighborList

from mhff.errors import MHFFError

MIN_DISTANCE = 1e-3
"""Two atoms closer than this coincide, A: rounding separates them, not chemistry."""
MIN_INDEPENDENCE = 1e-9
"""Smallest distance of a lattice vector from the plane or line of the others.

It is relative to the longest lattice vector; closer ones count as linearly dependent.
"""
MAX_CELLS = 20_000
MAX_CELLS_IN_A_ROW = 100
"""A structure that spans more cells of the cutoff's size is sparse.

A cell list visits every cell, and that of vesin 0.6.2 divides by zero if there are too many.
"""
MAX_WRAPS = 1e6
"""A cell list counts in 32 bits how many cells away from the first one an atom is."""
MAX_COORDINATE = 1e100
"""Squares of coordinates beyond this are infinite in float64, A."""
MAX_NEIGHBOURS = 20_000
"""More neighbours per atom than any matter has: a cell in other units, or one that collapsed."""
MARGIN = 1e-6
"""Relative widening of a search whose positions are rounded; exact distances decide afterwards."""


def neighbour_list(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_max: float
) -> tuple[np.ndarray, np.ndarray]:
    """`edge_index [2, E]`, sorted by receiver, and `edge_vectors [E, 3]` of pairs within `r_max`.

    `positions [n, 3]` (A) may be anywhere, inside the cell or not, and any distance apart.
    `cell [3, 3]` may be triclinic or smaller than the cutoff; only its rows in periodic directions
    (`pbc [3]`) matter. Raises MHFFError if positions or cell are not finite, if lattice vectors
    depend on one another, if the cell is far too small, or if atoms coincide.
    """
    inverse = _checked_inverse(positions, cell, pbc, r_max)
    if len(positions) == 0:
        return np.zeros((2, 0), dtype=np.int64), np.zeros((0, 3))
    if _is_sparse(positions @ inverse, inverse, pbc.sum(), r_max):
        receiver, sender, shifts = _search_tree(positions, cell[pbc], inverse, r_max)
        vectors = positions[sender] - positions[receiver] + shifts @ cell[pbc]
        distances = np.linalg.norm(vectors, axis=1)
    else:
        receiver, sender, vectors, distances = _search(positions, cell, pbc, r_max, "ijDd")
    check_distances(distances, sender, receiver)
    inside = distances < r_max
    return np.stack([sender[inside], receiver[inside]]).astype(np.int64), -vectors[inside]


def neighbour_pairs(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_max: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sender `[P]`, receiver `[P]` and image `[n_periodic, P]`, whole, of all pairs within `r_max`.

    The image of the sender is shifted by whole lattice vectors, one row for each periodic
    direction. Pairs are sorted by receiver; a few may be longer than `r_max` by rounding. Arguments
    and MHFFErrors are those of `neighbour_list`, except for atoms that coincide.
    """
    inverse = _checked_inverse(positions, cell, pbc, r_max)
    if len(positions) == 0:
        return (*np.zeros((2, 0), dtype=np.int64), np.zeros((int(pbc.sum()), 0), dtype=np.int64))
    if _is_sparse(positions @ inverse, inverse, pbc.sum(), r_max):
        receiver, sender, shifts = _search_tree(positions, cell[pbc], inverse, r_max)
        return sender, receiver, shifts.T.astype(np.int64)
    receiver, sender, shifts = _search(positions, cell, pbc, r_max, "ijS")
    return sender, receiver, shifts.T[pbc]


def points_within_reach(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_max: float
) -> np.ndarray:
    """Atoms inside the cell, in their order, then their images within `r_max` of it, `[m, 3]`, A.

    Arguments and MHFFErrors are those of `neighbour_pairs`.
    """
    inverse = _checked_inverse(positions, cell, pbc, r_max)
    return _points(positions, cell[pbc], inverse, r_max)[0]


def _search(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_max: float, quantities: str
) -> list[np.ndarray]:
    """These quantities of all pairs, by vesin's cell list."""
    search = NeighborList(cutoff=r_max, full_list=True, sorted=True, n_threads=1)
    found: list[np.ndarray] = search.compute(positions, cell, pbc, quantities=quantities)
    return found


def _checked_inverse(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, r_max: float
) -> np.ndarray:
    """See `lattice_inverse`; raises MHFFError for a structure without a neighbour list."""
    if not np.isfinite(positions).all() or not np.isfinite(cell).all():
        raise MHFFError(
            "expected finite positions and cell, got NaN or infinity; check the structure"
        )
    if np.abs(positions).max(initial=0) > MAX_COORDINATE:
        raise MHFFError(
            f"expected positions up to {MAX_COORDINATE:g} A, got {np.abs(positions).max():g} A; "
            "check the structure"
        )
    inverse = lattice_inverse(cell, pbc)
    _check_density(len(positions), inverse, pbc, r_max)
    return inverse


def _check_density(n_atoms: int, inverse: np.ndarray, pbc: np.ndarray, r_max: float) -> None:
    """Raise MHFFError if a cell is so small that its pairs would fill the memory."""
    if not pbc.all():
        return
    volume = 1 / abs(np.linalg.det(inverse))
    n_neighbours = n_atoms * 4 / 3 * np.pi * r_max**3 / volume
    if n_neighbours > MAX_NEIGHBOURS:
        raise MHFFError(
            f"expected at most {MAX_NEIGHBOURS} neighbours per atom within {r_max:g} A, got "
            f"{n_neighbours:.1g} of {n_atoms} atoms in a cell of {volume:.3g} A^3; check the cell "
            "and its units"
        )


def check_distances(
    distances: np.ndarray | torch.Tensor,
    sender: np.ndarray | torch.Tensor,
    receiver: np.ndarray | torch.Tensor,
) -> None:
    """Raise MHFFError if an edge is shorter than `MIN_DISTANCE`, A; all arguments are `[E]`."""
    if (distances < MIN_DISTANCE).any():
        first = int(distances.argmin())
        raise MHFFError(
            f"atoms {sender[first]} and {receiver[first]} (or periodic images of them) coincide: "
            f"they are {float(distances[first]):.1g} A apart; move or remove one of them"
        )


def lattice_inverse(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Matrix `[3, 3]` that turns Cartesian coordinates into fractional ones along the lattice.

    Coordinates along periodic lattice vectors come first; those along open directions,
    perpendicular to them, stay Cartesian. Raises MHFFError for linearly dependent lattice vectors.
    """
    lattice = cell[pbc]
    n_periodic = len(lattice)
    basis = cell
    if n_periodic < 3:
        directions, _ = np.linalg.qr(lattice.T, mode="complete")
        basis = np.concatenate([lattice, directions.T[n_periodic:]])
    try:
        inverse: np.ndarray = np.linalg.inv(basis)
    except np.linalg.LinAlgError:
        independent = False
    else:
        longest = np.linalg.norm(lattice, axis=1).max(initial=0)
        independent = bool((_heights(inverse)[:n_periodic] > MIN_INDEPENDENCE * longest).all())
    if not independent:
        raise MHFFError(
            "expected independent lattice vectors for the periodic directions (pbc "
            f"{pbc.tolist()}), got the cell {cell.tolist()}; set the cell, or pbc=False"
        )
    return inverse


def _heights(inverse: np.ndarray) -> np.ndarray:
    """Distance between opposite faces of the cell, `[3]`."""
    return 1 / np.sqrt(np.einsum("xd,xd->d", inverse, inverse))


def _is_sparse(coordinates: np.ndarray, inverse: np.ndarray, n_periodic: int, r_max: float) -> bool:
    """Whether a cell list is slow or unsafe: too many cells, or atoms too far outside the cell."""
    lowest, highest = coordinates.min(axis=0), coordinates.max(axis=0)
    extents = np.where(np.arange(3) < n_periodic, _heights(inverse), highest - lowest)
    n_cells = np.maximum(extents / r_max, 1)
    n_wraps = np.maximum(-lowest, highest)[:n_periodic].max(initial=0)
    return bool(
        n_cells.max() > MAX_CELLS_IN_A_ROW or n_cells.prod() > MAX_CELLS or n_wraps > MAX_WRAPS
    )


def _search_tree(
    positions: np.ndarray, lattice: np.ndarray, inverse: np.ndarray, r_max: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Receiver, sender and image of all pairs, and few longer ones, by a k-d tree.

    Its cost depends on the number of atoms and pairs, not on the space between them.
    """
    from scipy.spatial import cKDTree  # takes 0.7 s to import, and few structures need it

    n_atoms = len(positions)
    reach = r_max * (1 + MARGIN)
    points, atom, shifts = _points(positions, lattice, inverse, reach)
    pairs = cKDTree(points[:n_atoms]).sparse_distance_matrix(
        cKDTree(points), reach, output_type="ndarray"
    )
    pairs = pairs[pairs["i"] != pairs["j"]]
    pairs = pairs[np.argsort(pairs["i"], kind="stable")]
    receiver = pairs["i"]
    sender = atom[pairs["j"]]
    return receiver, sender, shifts[pairs["j"]] - shifts[receiver]


def _points(
    positions: np.ndarray, lattice: np.ndarray, inverse: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points `[m, 3]` within `reach` of the cell, and what `_images` gives."""
    n_periodic = len(lattice)
    reach_in_cells = (reach / _heights(inverse))[:n_periodic]
    atom, shifts = _images((positions @ inverse)[:, :n_periodic], reach_in_cells)
    return positions[atom] + shifts @ lattice, atom, shifts


def _images(fractions: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Atoms inside the cell, first and in order, and images within `reach` (in cells) of its faces.

    `fractions [n, n_periodic]`, `reach [n_periodic]`. Returns the atom of each, `[m]`, and by how
    many lattice vectors it is shifted, `[m, n_periodic]`.
    """
    shifts = -np.floor(fractions)
    fractions = fractions + shifts
    atom = np.arange(len(fractions))
    for direction, depth in enumerate(reach):
        farthest = int(np.ceil(depth))
        chosen, counts = [], []
        for count in (0, *range(-farthest, 0), *range(1, farthest + 1)):
            along = fractions[:, direction] + count
            near = np.nonzero((along > -depth) & (along < 1 + depth))[0]
            chosen.append(near)
            counts.append(np.full(len(near), float(count)))
        order = np.concatenate(chosen)
        atom, shifts, fractions = atom[order], shifts[order], fractions[order]
        shifts[:, direction] += np.concatenate(counts)
        fractions[:, direction] += np.concatenate(counts)
    return atom, shifts
