# ruff: noqa: UP006, UP035, UP045 - metatomic and TorchScript compare annotations with typing's
"""The samples of a result, for `torch.jit.script`: which atom or system each number belongs to."""

from typing import List, Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap


def atom_samples(sizes: torch.Tensor, selected: Optional[Labels]) -> torch.Tensor:
    """System, and index in it, of the selected atoms or else of all: `[m, 2]`.

    `sizes [S]`: number of atoms in each system.
    """
    if selected is not None:
        columns = [selected.column("system"), selected.column("atom")]
        return torch.stack(columns, 1).to(torch.int64)
    system = torch.repeat_interleave(sizes)
    first = torch.cumsum(sizes, 0) - sizes
    atom = torch.arange(system.size(0)) - first.index_select(0, system)
    return torch.stack([system, atom], 1)


def energy_map(values: torch.Tensor, names: List[str], samples: torch.Tensor) -> TensorMap:
    """Energies `[m]` in metatomic's form, with names for the columns of their samples `[m, k]`."""
    zero = torch.zeros(1, 1, dtype=torch.int32)
    block = TensorBlock(
        values=values.unsqueeze(1),
        samples=Labels(names, samples.to(torch.int32)),
        components=torch.jit.annotate(List[Labels], []),
        properties=Labels(["energy"], zero),
    )
    return TensorMap(keys=Labels(["_"], zero), blocks=[block])
