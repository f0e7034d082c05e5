"""The core's checks: Python, packages, torch, GPUs, the C++ compiler, the cache."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mhff.doctor.findings import Check, Finding
from mhff.doctor.questions import NoAnswerError, ask, ask_python
from mhff.doctor.requirements import numbers, requirements
from mhff.errors import listing
from mhff.files import cache_folder
from mhff.ops.cpu.requirements import COMPILER, MIN_COMPILER

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
MIN_FREE_BYTES = 1e9
"""Free space that compiling and its temporary files may take."""
TORCH = """
import json, torch

def device(index):
    about = torch.cuda.get_device_properties(index)
    try:
        torch.ones(1, device=f"cuda:{index}").add_(1).item()
        error = ""
    except Exception as caught:
        error = str(caught).splitlines()[0]
    return {"name": about.name, "bytes": about.total_memory,
            "capability": f"{about.major}.{about.minor}", "error": error}

print(json.dumps({
    "version": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads(),
    "devices": [device(index) for index in range(torch.cuda.device_count())],
}))
"""


def python() -> Iterable[Finding]:
    """The interpreter and its environment."""
    yield Finding("python", True, f"{platform.python_version()} in {sys.prefix}", essential=True)


def packages() -> Iterable[Finding]:
    """Packages that mhff itself requires."""
    required = list(requirements())
    complaints = [each.complaint for each in required if each.complaint]
    if not required:
        complaints = ["mhff itself is not installed as a package"]
    names = listing(f"{each.name} {each.installed}" for each in required)
    mend = "pip install --upgrade mhff in this environment" if complaints else ""
    found = listing(complaints) if complaints else names
    yield Finding("packages", not complaints, found, mend, essential=True)


def torch() -> Iterable[Finding]:
    """Torch, and the GPUs that it sees."""
    try:
        facts = ask_python(TORCH)
    except NoAnswerError as error:
        mend = "pip install --force-reinstall torch in this environment"
        yield Finding("torch", False, f"importing torch {error}", mend, essential=True)
        return
    built_for = f"for CUDA {facts['cuda']}" if facts["cuda"] else "for CPUs"
    about = f"{facts['version']}, built {built_for}, threads: {facts['threads']}"
    yield Finding("torch", True, about, essential=True)
    yield from _gpus(facts)


def _gpus(facts: dict[str, Any]) -> Iterator[Finding]:
    for device in facts["devices"]:
        about = f"{device['name']}, {device['bytes'] / 1e9:.0f} GB"
        if device["error"]:
            mend = f"install a torch that supports compute capability {device['capability']}"
            yield Finding("gpu", False, f"{about}, does not work ({device['error']})", mend)
        else:
            yield Finding("gpu", True, f"{about}, compute capability {device['capability']}")
    if facts["devices"]:
        return
    if not NVIDIA_DRIVER.exists():
        yield Finding("gpu", True, "none; models run on the CPU")
    elif facts["cuda"] is None:
        found = "an NVIDIA driver, but this torch is built for CPUs"
        yield Finding("gpu", False, found, "install a torch that is built for CUDA")
    else:
        found = f"an NVIDIA driver, but torch sees no GPU (built for CUDA {facts['cuda']})"
        mend = "check nvidia-smi and CUDA_VISIBLE_DEVICES; the driver may be too old for this CUDA"
        yield Finding("gpu", False, found, mend)


def compiler() -> Iterable[Finding]:
    """The C++ compiler of kernels and programs; without it, models run in their eager form."""
    program = shutil.which(COMPILER)
    mend = f"install {COMPILER} {MIN_COMPILER} or newer (Debian: apt-get install {COMPILER})"
    if program is None:
        found = f"no {COMPILER} on PATH: models run in their eager form, which is slower"
        yield Finding("compiler", False, found, mend)
        return
    try:
        version = ask([program, "-dumpfullversion", "-dumpversion"]).strip()
    except NoAnswerError as error:
        yield Finding("compiler", False, f"{program} {error}", mend)
        return
    new_enough = numbers(version) >= (MIN_COMPILER,)
    found = f"{COMPILER} {version} ({program})"
    yield Finding("compiler", new_enough, found, "" if new_enough else mend)


def cache() -> Iterable[Finding]:
    """The folder of everything that mhff has made and can make again."""
    folder = cache_folder()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{folder}, {_content(folder)}, {free / 1e9:.0f} GB free"
    if not os.access(there, os.W_OK | os.X_OK):
        mend = f"make {there} writable, or set XDG_CACHE_HOME to a folder that is"
        yield Finding("cache", False, f"{found}, not writable", mend)
    elif free < MIN_FREE_BYTES:
        yield Finding("cache", False, found, f"free some space, or remove {folder}")
    else:
        yield Finding("cache", True, found)


def _content(folder: Path) -> str:
    """The sizes of the folder's parts, in words."""
    if not folder.is_dir():
        return "empty"
    parts = {path.name: _size(path) for path in sorted(folder.iterdir()) if path.is_dir()}
    words = [f"{name} {size / 1e6:.0f} MB" for name, size in parts.items()]
    return listing(words) if words else "empty"


def _size(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        try:
            sizes += path.stat().st_size if path.is_file() else 0
        except OSError:  # another process may have removed it
            continue
    return sizes


CHECKS: tuple[Check, ...] = (python, packages, torch, compiler, cache)
