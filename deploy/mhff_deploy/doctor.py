"""The checks of compiling for `mhff doctor`: the programs in the cache, and Triton for GPUs."""

from __future__ import annotations

from collections.abc import Iterator

from mhff.doctor.core import NVIDIA_DRIVER
from mhff.doctor.findings import Check, Finding
from mhff.doctor.requirements import installed_version
from mhff.errors import listing
from mhff.files import artefact_folder, code_folder, kernel_folder


def programs() -> Iterator[Finding]:
    """Compiled programs, code and kernels, each made once for a model and this machine."""
    parts = {
        "compiled programs": artefact_folder().glob("*"),
        "known architectures": code_folder().glob("*.json"),
        "libraries of kernels": kernel_folder().glob("*"),
    }
    counts = [f"{sum(path.is_file() for path in paths)} {name}" for name, paths in parts.items()]
    yield Finding("programs", True, f"{listing(counts)} in the cache")


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
