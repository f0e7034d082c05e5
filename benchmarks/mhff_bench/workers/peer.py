"""A worker with a peer: `PEER_PYTHON peer.py`. It imports what that interpreter has and no mhff.

Engine `python` gives a peer its neighbours ready made, `ase` is its calculator. Symmetrix-XL's
calculator keeps a list of its own while atoms move less than half its skin, so there `python` is
the calculator with a thin skin, never used up.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from serving import Contender, serve  # this script's folder is on the path

MOVE = 1e-3
"""How far an atom moves to and fro between two steps, A, so that no calculator takes them for the
same structure.
"""
THIN_SKIN = 0.02
"""A; less than half of it is moved."""


def atoms_of(system: dict[str, Any]) -> Atoms:
    """The system as ASE has it."""
    return Atoms(
        numbers=system["numbers"],
        positions=system["positions"],
        cell=system["cell"],
        pbc=system["pbc"],
    )


class Calculated:
    """Steps of an ASE calculator."""

    def __init__(self, calculator: Any, about: dict[str, Any]) -> None:
        self.calculator, self.about, self.atoms, self.moved = calculator, about, Atoms(), MOVE

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        self.atoms = atoms_of(system)
        self.calculator.calculate(self.atoms, ["energy", "forces"])
        return float(self.calculator.results["energy"])

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self.atoms.positions[0, 0] += self.moved
            self.moved = -self.moved
            self.calculator.calculate(self.atoms, ["energy", "forces"])


class MaceTorch:
    """mace-torch's model, eager, with a ready graph."""

    def __init__(self, options: dict[str, Any]) -> None:
        import torch

        self.dtype = getattr(torch, options["dtype"])
        torch.set_default_dtype(self.dtype)
        model = torch.load(options["model"], map_location="cpu", weights_only=False)
        self.model, self.head = model.to(self.dtype).requires_grad_(False), options["head"]
        self.about = {"mace-torch": version("mace-torch"), "torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        from mace.data import AtomicData, Configuration
        from mace.tools import AtomicNumberTable
        from mace.tools.torch_geometric import Batch

        configuration = Configuration(
            atomic_numbers=np.array(system["numbers"]),
            positions=np.array(system["positions"]),
            cell=np.array(system["cell"]),
            pbc=tuple(system["pbc"]),
            properties={},
            property_weights={},
            head=self.head,
        )
        table = AtomicNumberTable([int(number) for number in self.model.atomic_numbers])
        graph = AtomicData.from_config(
            configuration, z_table=table, cutoff=float(self.model.r_max), heads=self.model.heads
        )
        self.batch = Batch.from_data_list([graph]).to_dict()
        return float(self._step()["energy"])

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self._step()

    def _step(self) -> dict[str, Any]:
        return self.model(self.batch, compute_force=True)


def mace_torch(options: dict[str, Any]) -> Contender:
    """mace-torch, its model or its calculator."""
    import mace
    import torch

    torch.set_num_threads(options["threads"])
    if options["engine"] == "python":
        return MaceTorch(options)
    from mace.calculators import MACECalculator

    arguments = {name: options[name] for name in ("head",) if options[name] is not None}
    calculator = MACECalculator(
        options["model"], device="cpu", default_dtype=options["dtype"], **arguments
    )
    return Calculated(calculator, {"mace-torch": mace.__version__, "torch": torch.__version__})


def symmetrix(options: dict[str, Any]) -> Contender:
    """Symmetrix-XL's calculator; compiling it for a new shape takes minutes."""
    folder = Path(options["folder"])
    (folder / "symmetrix-jit").mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["SYMMETRIX_JIT_CACHE"] = str(
        folder / "symmetrix-jit"
    )  # the only way that it can be told
    from symmetrix import Symmetrix

    skin = {"neighbor_skin": THIN_SKIN} if options["engine"] == "python" else {}
    model = extracted(Path(options["model"]), folder)
    calculator = Symmetrix(str(model), dtype=options["dtype"], head=options["head"], **skin)
    return Calculated(calculator, {"symmetrix-xl": version("symmetrix-xl")})


def extracted(model: Path, folder: Path) -> Path:
    """Symmetrix-XL's file of a mace-torch model, made now if it is not in the folder."""
    target = folder / f"{hashlib.sha256(model.read_bytes()).hexdigest()[:16]}.json"
    if not target.exists():
        new = target.with_suffix(".new.json")
        extract = Path(sys.executable).parent / "symmetrix_extract_mace"
        subprocess.run(
            [extract, "--model", model, "--output", new], check=True, stdout=subprocess.DEVNULL
        )
        new.rename(target)
    return target


PEERS = {"mace-torch": mace_torch, "symmetrix-xl": symmetrix}

if __name__ == "__main__":
    serve(lambda options: PEERS[options["peer"]](options))
