"""The rows of a graph for LAMMPS' atoms: its own atoms first, then atoms of other ranks.

LAMMPS has a ghost for each image of an atom. Images of atoms of this rank are folded to these
atoms. Of the images of an atom of another rank, all share one row, whatever their number. The rows
change only when LAMMPS rebuilds its neighbour lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy.spatial import cKDTree

from mhff.graph import ONE_RANK
from mhff.ops.ghosts import Exchange, exchange_plan
from mhff_lammps.coupling import Arrays
from mhff_lammps.exchange import RankExchange
from mhff_lammps.ranks import Ranks

NO_ROW = -1


@dataclass(frozen=True)
class Halo:
    """Rows and ghosts of a graph between two rebuilds of LAMMPS' neighbour lists."""

    rows: torch.Tensor
    """Row of each of LAMMPS' atoms and ghosts, `[ntotal]`; `NO_ROW` for those that take no part."""
    images: torch.Tensor
    """LAMMPS' index of one image of the atom in each row, `[n_rows]`."""
    plan: torch.Tensor
    """Ghost plan, `[1 + n_ghosts]`."""
    exchange: Exchange | None
    """The exchange of the plan; the plan is valid as long as it is kept."""

    @cached_property
    def all_have_rows(self) -> bool:
        """Whether all of LAMMPS' atoms and ghosts have a row."""
        return not bool((self.rows == NO_ROW).any())


def make_halo(
    ranks: Ranks, tags: np.ndarray, arrays: Arrays, positions: np.ndarray, reach: float
) -> Halo:
    """Rows of this rank's atoms; collective.

    `tags [ntotal]`: atom IDs; `positions [ntotal, 3]`, A. Ghosts farther than `reach`, A, from each
    atom of this rank are left out: other pair styles may need them. Raises MHFFError on all ranks
    if an atom within reach belongs to none of them.
    """
    device = arrays.atoms.device
    atoms = arrays.atoms.cpu().numpy()
    takes_part = arrays.labels.cpu().numpy() >= 0
    rows = np.full(len(tags), NO_ROW)
    rows[atoms] = np.arange(len(atoms))
    owners = owners_of_images(tags, arrays.n_local)
    known = owners != NO_ROW
    rows[known] = rows[owners[known]]
    if ranks.comm is None:
        plan = torch.full((1,), ONE_RANK, dtype=torch.int64, device=device)
        return Halo(_tensor(rows, device), arrays.atoms, plan, None)
    remote = np.flatnonzero(~known & takes_part & (len(atoms) > 0))
    if len(remote):
        distances, _ = cKDTree(positions[atoms]).query(
            positions[remote], distance_upper_bound=reach
        )
        remote = remote[np.isfinite(distances)]
    wanted, first, which = np.unique(tags[remote], return_index=True, return_inverse=True)
    exchange = RankExchange(ranks, tags[atoms].astype(np.int64), wanted.astype(np.int64))
    place = np.argsort(exchange.tags)  # of each wanted atom among the ghosts
    rows[remote] = len(atoms) + place[which]
    images = np.zeros(exchange.n_ghosts, dtype=np.int64)
    images[place] = remote[first]
    return Halo(
        _tensor(rows, device),
        torch.cat([arrays.atoms, _tensor(images, device)]),
        exchange_plan(exchange).to(device),
        exchange,
    )


def owners_of_images(tags: np.ndarray, n_local: int) -> np.ndarray:
    """Local index of the atom that each atom is an image of, `[ntotal]`, from its ID `[ntotal]`.

    `NO_ROW` for images of other ranks' atoms.
    """
    order = np.argsort(tags[:n_local])
    place = np.searchsorted(tags[:n_local], tags, sorter=order)
    place = np.minimum(place, max(n_local - 1, 0))
    if not n_local:
        return np.full(len(tags), NO_ROW)
    owners = order[place]
    return np.where(tags[owners] == tags, owners, NO_ROW)


def _tensor(indices: np.ndarray, device: torch.device) -> torch.Tensor:
    return torch.from_numpy(indices.astype(np.int64)).to(device)
