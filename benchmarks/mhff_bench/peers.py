"""The other programs that mhff is compared with, each run in the way that is fastest for it.

mace-torch frees and asks for large arrays in every step. With glibc's defaults each of them is
mapped and cleared anew by the system, which costs a factor of 1.65 to 1.85 at 216 atoms, so peers
are timed with an allocator that keeps its memory. Their memory is measured with the defaults,
which hold less.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mhff.errors import MHFFError, listing

DEFAULT_PYTHON = Path(".venv-peer") / "bin" / "python"
"""The peers' interpreter in a checkout (`make peer`)."""
TUNED_MALLOC = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    "MALLOC_TOP_PAD_": str(2**28),
}
"""Environment in which glibc's malloc maps no array of its own and keeps all that is freed."""


@dataclass(frozen=True)
class Peer:
    """Another program, and how it is run."""

    name: str
    package: str
    """Its distribution."""
    mode: str
    """How it evaluates a model."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to its process's environment while it is timed."""
    starts_quickly: bool = True
    """Whether it can be restarted for each measurement of memory."""
    engines: tuple[str, ...] = ("python", "ase")
    """Engines of ours that it is compared with, by default the first."""
    keeps_list: bool = False
    """Whether its calculator keeps its neighbour list from step to step."""

    @property
    def settings(self) -> str:
        """How it is run, for readers of its times."""
        return f"{self.mode}, tuned malloc" if self.environment else self.mode

    def version(self, python: Path) -> str:
        """Version in an interpreter; raises MHFFError if it is not installed."""
        code = f"from importlib.metadata import version; print(version('{self.package}'))"
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
        if done.returncode:
            raise MHFFError(
                f"'{python}' has no {self.package}: install it there, or give another interpreter "
                "with --peer-python PATH"
            )
        return done.stdout.strip()


PEERS = {
    peer.name: peer
    for peer in (
        Peer("mace-torch", "mace-torch", "eager", TUNED_MALLOC),
        Peer(
            "mace-torch-compiled", "mace-torch", "torch.compile", TUNED_MALLOC, starts_quickly=False
        ),
        Peer("openmm-ml", "openmmml", "mace-torch, eager", TUNED_MALLOC, engines=("openmm",)),
        Peer("symmetrix-xl", "symmetrix-xl", "compiled kernels", TUNED_MALLOC, keeps_list=True),
    )
}
"""Peers by name."""


def find_peer(name: str) -> Peer:
    """The peer of a name; raises MHFFError naming those that exist."""
    if name not in PEERS:
        raise MHFFError(f"unknown peer '{name}': choose one of {listing(PEERS)}")
    return PEERS[name]
