"""A worker with a peer: `PEER_PYTHON peer.py`. It uses that interpreter's packages and no mhff.

Engine `python` evaluates a ready neighbour list, `ase` takes steps of dynamics with the peer's ASE
calculator. Symmetrix-XL has no entry for a ready list: its calculator keeps its own while atoms
move less than half a skin, so there `python` is the calculator with a thin skin that is never used
up.
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
from dynamics import Dynamics, atoms_of  # this script's folder is on the path
from serving import Contender, serve

MOVE_LENGTH = 1e-3
"""Distance that an atom moves to and fro, A, so that each step is a new structure."""
THIN_SKIN = 0.02
"""Width of a skin that `MOVE_LENGTH` never uses up, A."""
COMPILE_MODE = "default"
"""Mode of torch.compile in mace-torch's calculator."""


class NeverUsedUp:
    """Evaluations of a calculator that keeps its list: one atom moves to and fro."""

    def __init__(self, calculator: Any, about: dict[str, Any]) -> None:
        self.calculator = calculator
        self.about = about
        self.move = MOVE_LENGTH

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        self.atoms = atoms_of(system)
        self.calculator.calculate(self.atoms, ["energy", "forces"])
        return float(self.calculator.results["energy"])

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self.atoms.positions[0, 0] += self.move
            self.move = -self.move
            self.calculator.calculate(self.atoms, ["energy", "forces"])


class MaceTorch:
    """mace-torch's model with a ready graph, eager or compiled by torch.compile."""

    def __init__(self, options: dict[str, Any]) -> None:
        import torch

        self.dtype = getattr(torch, options["dtype"])
        torch.set_default_dtype(self.dtype)
        model = torch.load(options["model"], map_location="cpu", weights_only=False)
        self.model = model.to(self.dtype).requires_grad_(False)
        self.head = options["head"]
        self.compiles = options["mode"] == "torch.compile"
        self.evaluate: Any = compiled(self.model) if self.compiles else self.model
        self.about = {"mace-torch": version("mace-torch"), "torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`; a compiled model is compiled anew for this size."""
        import torch
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
        if self.compiles:  # as mace-torch's calculator prepares it
            torch._dynamo.reset()
            for name in ("positions", "node_attrs"):
                self.batch[name].requires_grad_(True)
        return float(self._step()["energy"])

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self._step()

    def _step(self) -> dict[str, Any]:
        # as in mace-torch's calculator, a compiled model is differentiated as in training
        return self.evaluate(self.batch, compute_force=True, training=self.compiles)


def compiled(model: Any) -> Any:
    """The model under torch.compile, prepared as mace-torch's calculator does it."""
    import torch
    from mace.tools.compile import prepare
    from mace.tools.scripts_utils import extract_model

    new = prepare(extract_model)(model=model, map_location="cpu").requires_grad_(False)
    return torch.compile(new, mode=COMPILE_MODE, fullgraph=True, dynamic=False)


def mace_torch(options: dict[str, Any]) -> Contender:
    """mace-torch, its model or its calculator."""
    import torch

    torch.set_num_threads(options["threads"])
    if options["engine"] == "python":
        return MaceTorch(options)
    from mace.calculators import MACECalculator

    mode = COMPILE_MODE if options["mode"] == "torch.compile" else None
    head = {} if options["head"] is None else {"head": options["head"]}
    calculator = MACECalculator(
        options["model"], device="cpu", default_dtype=options["dtype"], compile_mode=mode, **head
    )
    about = {"mace-torch": version("mace-torch"), "torch": torch.__version__}
    return Dynamics(calculator, about)


def symmetrix(options: dict[str, Any]) -> Contender:
    """Symmetrix-XL's calculator; compiling it for a new shape takes minutes."""
    folder = Path(options["folder"])
    cache = folder / "symmetrix-jit"
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["SYMMETRIX_JIT_CACHE"] = str(cache)  # it has no other way to set the folder
    from symmetrix import Symmetrix

    model = extracted(Path(options["model"]), folder)
    about = {"symmetrix-xl": version("symmetrix-xl")}
    settings = {"dtype": options["dtype"], "head": options["head"]}
    if options["engine"] == "python":
        return NeverUsedUp(Symmetrix(str(model), neighbor_skin=THIN_SKIN, **settings), about)
    return Dynamics(Symmetrix(str(model), **settings), about)


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


def openmm_ml(options: dict[str, Any]) -> Contender:
    """openmm-ml's own path to a model of mace-torch."""
    from openmm_ml import OpenMMML

    return OpenMMML(options)


PEERS = {"mace-torch": mace_torch, "symmetrix-xl": symmetrix, "openmmml": openmm_ml}

if __name__ == "__main__":
    serve(lambda options: PEERS[options["peer"]](options))
