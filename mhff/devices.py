"""Devices that torch computes on."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mhff.errors import MHFFError


def resolve_device(name: str | torch.device) -> torch.device:
    """torch device of `cpu`, `cuda` or `cuda:<index>`; raises MHFFError if there is none."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise MHFFError(f"unknown device '{name}': choose cpu or cuda") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index is not None):
        raise MHFFError(f"unknown device '{name}': choose cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MHFFError(
            f"no device '{device}': torch sees {torch.cuda.device_count()} CUDA devices on this "
            "machine; use device='cpu'"
        )
    return device


def gpus_of(name: str) -> tuple[str, ...]:
    """GPUs that processes of a device share: all for `cuda`, the one for `cuda:<index>`."""
    device = torch.device(name)
    if device.type != "cuda":
        return ()
    numbers = range(torch.cuda.device_count()) if device.index is None else [device.index]
    return tuple(f"cuda:{number}" for number in numbers)


def take_gpu(gpus: Sequence[str], number: int) -> None:
    """Make a GPU the one that `cuda` means in this process; processes take them in turn."""
    torch.cuda.set_device(gpus[number % len(gpus)])
