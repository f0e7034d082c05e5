"""Structures as metatomic's systems."""

from __future__ import annotations

import torch
from ase import Atoms
from metatomic.torch import System


def differentiable_system(atoms: Atoms) -> tuple[System, torch.Tensor]:
    """A system in float64, and the positions that its results are functions of."""
    positions = torch.from_numpy(atoms.positions).requires_grad_()
    system = System(
        torch.from_numpy(atoms.numbers).to(torch.int32),
        positions,
        torch.from_numpy(atoms.cell[:]),
        torch.from_numpy(atoms.pbc),
    )
    return system, positions
