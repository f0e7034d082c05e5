"""Timing on a GPU: wall times, kernel times, and the peak rates that they are compared with."""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from typing import Any, NamedTuple

import torch


class Peak(NamedTuple):
    """Rates measured on this GPU."""

    memory: float
    """Bytes per second of a copy, read and written."""
    arithmetic: float
    """Multiply-adds per second of a matrix product."""


def wall_time(call: Callable[[], Any], steps: int) -> float:
    """Median wall time of a call, including the wait for the GPU, seconds."""
    times = []
    for _ in range(steps):
        torch.cuda.synchronize()
        start = clock.perf_counter()
        call()
        torch.cuda.synchronize()
        times.append(clock.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def gpu_time(call: Callable[[], Any], calls: int = 20) -> float:
    """GPU time of a call, s, from torch's profiler: a launch from Python outlasts a kernel."""
    call()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as found:
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
    on_gpu = [
        event
        for event in found.key_averages()
        if event.device_type == torch.autograd.DeviceType.CUDA
    ]
    return sum(event.self_device_time_total for event in on_gpu) * 1e-6 / calls


def profile(call: Callable[[], Any]) -> str:
    """GPU time of ten steps by kernel, as torch's profiler prints it."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.no_grad(), torch.profiler.profile(activities=activities) as found:
        for _ in range(10):
            call()
        torch.cuda.synchronize()
    return found.key_averages().table(
        sort_by="self_cuda_time_total", row_limit=40, max_name_column_width=70
    )


def measure_peak(dtype: torch.dtype) -> Peak:
    """Rates of a copy of 1 GB and of a matrix product in this precision (not TF32)."""
    x = torch.randn(2**28, device="cuda")
    y = torch.empty_like(x)
    matrix = torch.randn(8192, 8192, dtype=dtype, device="cuda")
    for _ in range(3):
        matrix @ matrix
    memory = 2 * x.numel() * x.element_size() / wall_time(lambda: y.copy_(x), 10)
    return Peak(memory, len(matrix) ** 3 / wall_time(lambda: matrix @ matrix, 10))
