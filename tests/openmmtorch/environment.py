"""Makes `.venv-openmmtorch`: openmm-torch, with the OpenMM and the torch that it was built for.

    python3.11 tests/openmmtorch/environment.py

Tests of the backend `torch` need it, `make demo` does not. It lies in the user's cache, where all
clones share it; `.venv-openmmtorch` in the repository's root is a link to it. Making it takes about
two minutes and a download of 3.5 GB; then it fills 7 GB, nearly all of them libraries for GPUs that
this torch links and never calls here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENT = ROOT / ".venv-openmmtorch"
PYTHON = ENVIRONMENT / "bin" / "python"
REASON = ROOT / ".venv-openmmtorch-is-missing"
"""File that says why there is no environment."""
PLUGIN = (
    "openmmtorch==1.5",
    "openmm==8.5.2",
    "torch==2.9.1",
    "nvidia-cublas-cu12==12.8.4.1",  # from here on, the libraries that torch links
    "nvidia-cuda-cupti-cu12==12.8.90",
    "nvidia-cuda-runtime-cu12==12.8.90",
    "nvidia-cudnn-cu12==9.10.2.21",
    "nvidia-cufft-cu12==11.3.3.83",
    "nvidia-cufile-cu12==1.13.1.3",
    "nvidia-curand-cu12==10.3.9.90",
    "nvidia-cusparse-cu12==12.5.8.93",
    "nvidia-cusparselt-cu12==0.7.1",
    "nvidia-nccl-cu12==2.27.5",
    "nvidia-nvjitlink-cu12==12.8.93",
    "nvidia-nvshmem-cu12==3.3.20",
    "nvidia-cuda-nvrtc-cu12==12.8.93",  # openmmtorch links this one
)
"""The plug-in and what it was built for."""
OTHERS = """
annotated-doc annotated-types ase e3nn filelock fsspec iniconfig jinja2 markdown-it-py markupsafe
mdurl mpmath networkx numpy opt_einsum opt-einsum-fx packaging platformdirs pluggy pydantic
pydantic_core pygments pytest pyyaml rich safetensors scipy shellingham sympy typer
typing-inspection typing_extensions vesin
"""
"""Requirements of torch and of mhff's core, and pytest, in the versions of `constraints.txt`."""


def requirements() -> list[str]:
    """All packages, each with its version.

    The complete list: pip would add libraries for GPUs that torch requires and does not link.
    """
    lines = (ROOT / "constraints.txt").read_text().lower().splitlines()
    versions = dict(line.split("==") for line in lines if "==" in line)
    return [*PLUGIN, *(f"{name}=={versions[name]}" for name in OTHERS.split())]


def folder() -> Path:
    """Where the environment lies; the name depends on its content and on the interpreter."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mhff"
    content = "\n".join([*requirements(), sys.version])
    return cache / f"openmmtorch-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def make(place: Path) -> None:
    """Create the environment; a file in it says that it is whole."""
    print(
        "mhff: making .venv-openmmtorch for the tests of backend 'torch' (3.5 GB, two minutes)",
        flush=True,
    )
    subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
    pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    subprocess.run([*pip, "--no-deps", *requirements()], check=True)
    (place / "installed").touch()


def main() -> None:
    """Make the environment unless it is there; where it cannot be had, say so and go on."""
    place = folder()
    REASON.unlink(missing_ok=True)
    try:
        if not (place / "installed").exists():
            make(place)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(place, ignore_errors=True)
        REASON.write_text(f"the environment could not be made ({error})")
        print(f"mhff: NO TESTS OF BACKEND 'torch': {REASON.read_text()}", flush=True)
        return
    ENVIRONMENT.unlink(missing_ok=True)
    ENVIRONMENT.symlink_to(place)


if __name__ == "__main__":
    main()
