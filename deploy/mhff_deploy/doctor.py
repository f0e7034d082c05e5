"""The checks of compiling for `mhff doctor`: the programs in the cache, and Triton for GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from mhff.doctor.core import NVIDIA_DRIVER
from mhff.doctor.findings import Check, Finding
from mhff.doctor.requirements import installed_version
from mhff.files import artefact_folder, kernel_folder


def programs() -> Iterator[Finding]:
    """Compiled programs and kernels, each made once for a model and this machine."""
    counts = [
        len([path for path in folder.glob("*") if path.is_file()])
        for folder in (artefact_folder(), kernel_folder())
    ]
    found = f"{counts[0]} compiled programs and {counts[1]} libraries of kernels in the cache"
    yield Finding("programs", True, found)


def triton() -> Iterator[Finding]:
    """Triton, which compiles the kernels of programs for GPUs."""
    version = installed_version("triton")
    if version is not None:
        yield Finding("triton", True, version)
    elif NVIDIA_DRIVER.exists():
        found = "not installed: no programs for the GPU can be compiled"
        yield Finding("triton", False, found, "pip install triton in this environment")
    else:
        yield Finding("triton", True, "not installed; only programs for GPUs need it")


CHECKS: tuple[Check, ...] = (programs, triton)
