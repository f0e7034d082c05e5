"""LAMMPS' arrays of one step as tensors, in its ordinary coupling and in that of KOKKOS.

The tensors share LAMMPS' memory. It lies on the CPU (numpy) or, with KOKKOS on a GPU, there (cupy);
nothing is copied to the other. In both couplings, an array without elements must not be read: it is
None, raises, or points to nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from mhff_lammps.instance import is_kokkos


class Pairs(NamedTuple):
    """Pairs of a centre i with a neighbour j; indices are LAMMPS', of local and ghost atoms."""

    i: torch.Tensor
    """`[E]`."""
    j: torch.Tensor
    """`[E]`."""
    rij: torch.Tensor
    """From the centre to the neighbour, in LAMMPS' length unit, `[E, 3]`."""


class Arrays(NamedTuple):
    """LAMMPS' arrays of one step."""

    n_local: int
    """Number of this rank's atoms; ghosts follow them."""
    atoms: torch.Tensor
    """LAMMPS' indices of the local atoms that this pair style acts on, `[n]`, int64."""
    labels: torch.Tensor
    """Label of each local atom and ghost, `[ntotal]`; negative for `NULL`."""
    pairs: Pairs


def read_arrays(data: Any, atoms: torch.Tensor | None = None) -> Arrays:
    """The arrays of this step; `atoms` as in `Arrays`, if LAMMPS' lists are those of before."""
    labels = _view(data.elems) if data.ntotal else torch.zeros(0, dtype=torch.int32)
    device = labels.device
    if atoms is None:
        atoms = torch.zeros(0, dtype=torch.int64, device=device)
        if data.nlistatoms:
            atoms = _view(data.iatoms)[: data.nlistatoms].to(torch.int64)
    if data.npairs:
        pairs = Pairs(_view(data.pair_i), _view(data.pair_j), _view(data.rij))
    else:
        none = torch.zeros(0, dtype=torch.int32, device=device)
        pairs = Pairs(none, none, torch.zeros((0, 3), dtype=torch.float64, device=device))
    return Arrays(data.nlocal, atoms, labels, pairs)


def device_of(data: Any) -> torch.device:
    """The device of LAMMPS' arrays; the CPU if there are none on this rank."""
    return _view(data.elems).device if data.ntotal else torch.device("cpu")


def write_results(data: Any, energy: float, energies: torch.Tensor, forces: torch.Tensor) -> None:
    """Give LAMMPS the energy, energies of listed atoms `[n]` and forces of pairs `[E, 3]`.

    `forces` are derivatives of the energy by `rij`; all in LAMMPS' units, float64, contiguous,
    where its arrays are.
    """
    data.energy = energy
    on_host = energies.device.type == "cpu"
    if data.nlistatoms and is_kokkos(data):
        _view(data.eatoms).copy_(energies)
    elif data.nlistatoms:
        data.eatoms = energies.numpy()
    if data.npairs:
        data.update_pair_forces(forces.numpy() if on_host else forces)


def _view(array: Any) -> torch.Tensor:
    """A tensor in the memory of a numpy or cupy array."""
    if isinstance(array, np.ndarray):
        return torch.from_numpy(array)
    return torch.as_tensor(array, device="cuda")
