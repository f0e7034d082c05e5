"""A worker that trains with mace-torch: `PEER_PYTHON training_peer.py`, without mhff.

A step is mace-torch's own (`mace.tools.train.take_step`), with the optimiser's groups of
`mace_run_train`.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from mace import modules
from mace.data import AtomicData, Configuration
from mace.tools import AtomicNumberTable
from mace.tools.torch_geometric import Batch
from mace.tools.train import take_step
from serving import serve  # this script's folder is on the path
from torch_ema import ExponentialMovingAverage

OUTPUTS = {"forces": True, "virials": False, "stress": True}


class Training:
    """Steps with one batch."""

    def __init__(self, options: dict[str, Any]) -> None:
        torch.set_num_threads(options["threads"])
        dtype = getattr(torch, options["dtype"])
        torch.set_default_dtype(dtype)
        model = torch.load(options["model"], map_location="cpu", weights_only=False)
        self.model = model.to(dtype).requires_grad_(True)
        terms = options["loss"]
        self.loss = modules.WeightedHuberEnergyForcesStressLoss(
            **{f"{name}_weight": terms[name] for name in ("energy", "forces", "stress")},
            huber_delta=terms["delta"],
        )
        settings = options["optimiser"]
        self.clip = settings["gradient_clip"]
        self.optimiser = torch.optim.AdamW(
            self.groups(settings["weight_decay"]), lr=settings["learning_rate"], amsgrad=True
        )
        parameters = self.model.parameters()
        self.average = ExponentialMovingAverage(parameters, decay=settings["ema_decay"])
        self.about = {"mace-torch": version("mace-torch"), "torch": torch.__version__}

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Parameters with weight decay and without, as in `mace_run_train`."""
        decayed: list[torch.nn.Parameter] = []
        others: list[torch.nn.Parameter] = []
        for name, parameter in self.model.named_parameters():
            is_linear = "interactions" in name and "linear.weight" in name
            chosen = is_linear or "skip_tp" in name or "products" in name
            (decayed if chosen else others).append(parameter)
        return [
            {"params": decayed, "weight_decay": weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        table = AtomicNumberTable([int(number) for number in self.model.atomic_numbers])
        cutoff = float(self.model.r_max)
        graphs = [
            AtomicData.from_config(
                configuration(structure, self.model.heads[0]),
                z_table=table,
                cutoff=cutoff,
                heads=self.model.heads,
            )
            for structure in system["structures"]
        ]
        self.batch = Batch.from_data_list(graphs)
        return float(self.step())

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self.step()

    def step(self) -> torch.Tensor:
        """One step; the loss before it."""
        loss, _ = take_step(
            self.model,
            self.loss,
            self.batch,
            self.optimiser,
            self.average,
            OUTPUTS,
            self.clip,
            torch.device("cpu"),
        )
        return loss.detach()


def configuration(structure: dict[str, Any], head: str) -> Configuration:
    """A structure with its labels."""
    return Configuration(
        atomic_numbers=np.array(structure["numbers"]),
        positions=np.array(structure["positions"]),
        cell=np.array(structure["cell"]),
        pbc=tuple(structure["pbc"]),
        properties={
            "energy": structure["energy"],
            "forces": np.array(structure["forces"]),
            "stress": np.array(structure["stress"]),
        },
        property_weights={"energy": 1.0, "forces": 1.0, "stress": 1.0},
        head=head,
    )


if __name__ == "__main__":
    serve(Training)
