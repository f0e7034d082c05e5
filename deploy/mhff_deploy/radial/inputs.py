"""Tables as inputs of a program.

Compiled code depends on the architecture alone. What depends on the elements of a simulation are
the tables of its radial functions, which the program takes as inputs behind those of
`mhff.graph.PROGRAM_INPUTS`: kernels read their numbers of tables and rows from the tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class TableInputs:
    """Tables of all radial functions, in a program's precision and packed for its kernels."""

    table_of: torch.Tensor
    """Index of the table by the species of sender and receiver, `[n_elements, n_elements]`."""
    n_intervals: torch.Tensor
    """Number of intervals of all tables, int64 `[1]`."""
    weights: tuple[torch.Tensor, ...]
    """Convolution weights of each layer, `[n_tables, n_intervals + 5, paths * edge_channels]`."""
    densities: torch.Tensor | None
    """Edge densities of the layers that have one, `[n_tables * (n_intervals + 5), layers]`."""

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Inputs of a program, in order."""
        densities = () if self.densities is None else (self.densities,)
        return (self.table_of, self.n_intervals, *self.weights, *densities)

    @property
    def sizes(self) -> list[dict[int, str]]:
        """Names of the sizes that differ between tables, by axis, for each of `tensors`."""
        densities: list[dict[int, str]] = [] if self.densities is None else [{0: "density_rows"}]
        return [{}, {}, *({0: "n_tables", 1: "n_rows"} for _ in self.weights), *densities]

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor], n_layers: int) -> TableInputs:
        """The inverse of `tensors`."""
        table_of, n_intervals, *others = tensors
        densities = others[n_layers] if len(others) > n_layers else None
        return cls(table_of, n_intervals, tuple(others[:n_layers]), densities)


def choose_table(table_of: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """Table of each edge `[E]` by the species of sender and receiver, `[2, E]`."""
    return table_of.flatten().index_select(0, ends[0] * len(table_of) + ends[1])
