"""Makes `.venv-peer` in the repository's root: mace-torch, e3nn 0.4.4, and mhff's requirements.

    python3.11 tests/parity/environment.py

It takes about a minute, or a second if nothing has changed. Parity tests need it, `make demo` does
not.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENT = ROOT / ".venv-peer"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "installed"
"""What the environment was made for."""
PACKAGES = (
    "mace-torch",
    "cuequivariance",  # mace-torch reduces its coupling basis with these
    "cuequivariance-torch",
    "openmm",  # openmm-ml, whose path to mace-torch is a peer of ours in OpenMM
    "openmmml",
    "platformdirs",  # from here on, what mhff's core and its tests need and mace-torch does not
    "pydantic",
    "rich",
    "safetensors",
    "typer",
    "vesin",
    "hypothesis",
    "pytest",
)


def requirements() -> str:
    """Packages and constraints as one text; torch is the one that mhff is tested with."""
    pinned = (HERE / "constraints.txt").read_text()
    torch = next(
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line.startswith("torch==")
    )
    return "\n".join([*PACKAGES, torch, pinned])


def is_ready() -> bool:
    """Whether the environment exists and was made from the constraints as they are now."""
    return STAMP.exists() and STAMP.read_text() == requirements()


def make() -> None:
    """Create the environment anew; a linked one belongs to another checkout and is left alone."""
    if ENVIRONMENT.is_symlink():
        raise SystemExit(
            f"{ENVIRONMENT} is a link to {ENVIRONMENT.resolve()}; run `make peer` there, or remove "
            "the link to make an environment here"
        )
    print(
        f"mhff: making {ENVIRONMENT.name} with mace-torch for the parity tests (about a minute)",
        flush=True,
    )
    subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
    torch = next(line for line in requirements().splitlines() if line.startswith("torch=="))
    constraints = HERE / "constraints.txt"
    subprocess.run(
        [PYTHON, "-m", "pip", "install", "--quiet", "--constraint", constraints, torch, *PACKAGES],
        check=True,
    )
    STAMP.write_text(requirements())


if __name__ == "__main__":
    if not is_ready():
        make()
