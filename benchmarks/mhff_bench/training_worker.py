"""A worker that trains a network of ours: `python -m mhff_bench.training_worker`.

A step is that of `mhff train`: the loss of energies, forces and stress, the gradients of all
weights, clipping, AdamW, the moving average.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mhff.data.batch import join, sample
from mhff.data.reading import LabelledStructure
from mhff.data.weights import Weights
from mhff.engines import atoms_of
from mhff.errors import MHFFError
from mhff.files import kernel_folder
from mhff.model.acceleration import use_kernels
from mhff.modelfile import load
from mhff.train.processes import Processes
from mhff.train.sampling import Sampling
from mhff.train.sections.loss import OwnWeights
from mhff.train.settings import Settings
from mhff.train.trainer import Trainer
from mhff_bench.workers.serving import serve


class Training:
    """Steps with one batch; raises MHFFError without kernels that were asked for."""

    def __init__(self, options: dict[str, Any]) -> None:
        """`options`: model, dtype, threads, kernels, settings of loss and optimiser."""
        torch.set_num_threads(options["threads"])
        cpu = torch.device("cpu")
        network = load(options["model"]).network.to(dtype=getattr(torch, options["dtype"]))
        network.requires_grad_(True)
        if options["kernels"]:
            reason = use_kernels(network, cpu, kernel_folder())
            if reason:
                raise MHFFError(f"training runs in plain torch, {reason}")
        settings = Settings.model_validate(
            {
                "heads": {"any": {"files": ["none"]}},
                "loss": options["loss"],
                "optimiser": options["optimiser"],
                "schedule": {"kind": "constant", "warm_up": 0},
            }
        )
        one_step = Sampling([1], [1.0], temperature=1.0, seed=0)
        self.trainer = Trainer(network, settings, one_step, [], [], Processes(cpu))
        self.about = {"torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        network = self.trainer.network
        weights = OwnWeights().over(self.trainer.settings.loss)
        samples = [
            sample(labelled(each), network.config, weights=weights) for each in system["structures"]
        ]
        self.batch = join(samples).to("cpu", network.dtype)
        return float(self.step())

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self.step()

    def step(self) -> torch.Tensor:
        """One step; the loss before it."""
        return self.trainer.take_step([self.batch])[: len(Weights._fields)].sum()


def labelled(structure: dict[str, Any]) -> LabelledStructure:
    """A structure of a batch with its labels."""
    return LabelledStructure(
        atoms=atoms_of(structure),
        energy=structure["energy"],
        forces=np.array(structure["forces"]),
        stress=np.array(structure["stress"]),
    )


if __name__ == "__main__":
    serve(Training)
