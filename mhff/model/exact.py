"""Modules whose constants survive every change of dtype."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class ExactConstants(nn.Module):
    """A module that keeps constants in float64 and rounds them again when dtype or device change.

    A plain buffer that went to float32 and back would stay rounded, and break symmetries at 1e-8.
    """

    def __init__(self) -> None:
        super().__init__()
        self._exact: dict[str, torch.Tensor] = {}

    def add_constant(self, name: str, value: torch.Tensor) -> None:
        """Register a constant buffer; integer tensors are kept as they are.

        Make `value` on an explicit device: it needs numbers even where the weights have none yet
        (`mhff.modelfile` builds networks on the meta device).
        """
        self._exact[name] = value.detach().clone()
        rounded = value.to(torch.float32) if value.is_floating_point() else value
        self.register_buffer(name, rounded, persistent=False)

    def _apply(
        self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
    ) -> ExactConstants:
        super()._apply(fn, recurse)
        for name, value in self._exact.items():
            setattr(self, name, value.to(getattr(self, name)))
        return self
