"""Kernels of training run in the precision that they were compiled for."""

from __future__ import annotations

import torch

from mhff.errors import MHFFError


def check_precision(kernels: torch.dtype, network: torch.dtype) -> None:
    """Raise MHFFError unless a network is in the precision of its kernels."""
    if network != kernels:
        raise MHFFError(
            f"this network's kernels were made for {kernels}, but it is now in "
            f"{network}; call mhff.model.acceleration.use_kernels again"
        )
