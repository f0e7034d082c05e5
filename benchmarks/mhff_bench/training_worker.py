"""A worker that trains a network of ours: `python -m mhff_bench.training_worker`.

A step is that of `mhff train` without Lightning: the loss of energies, forces and stress, the
gradients of all weights, clipping, AdamW, the moving average.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from mhff.data.batch import join, sample
from mhff.data.reading import LabelledStructure
from mhff.engines import atoms_of
from mhff.errors import MHFFError
from mhff.evaluate.prediction import predict
from mhff.files import kernel_folder
from mhff.model.acceleration import use_kernels
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.modelfile import load
from mhff.train.loss import loss
from mhff.train.optimiser import MovingAverage, build_optimiser
from mhff.train.sections.optimisation import LossSettings, OptimiserSettings
from mhff_bench.workers.serving import serve


class Training:
    """Steps with one batch; raises MHFFError without kernels that were asked for."""

    def __init__(self, options: dict[str, Any]) -> None:
        """`options`: model, dtype, threads, kernels, settings of loss and optimiser."""
        torch.set_num_threads(options["threads"])
        network = load(options["model"]).network.to(dtype=getattr(torch, options["dtype"]))
        self.network = network.requires_grad_(True)
        if options["kernels"]:
            reason = use_kernels(network, torch.device("cpu"), kernel_folder())
            if reason:
                raise MHFFError(f"training runs in plain torch, {reason}")
        self.loss = LossSettings(**options["loss"])
        settings = OptimiserSettings(**options["optimiser"])
        self.clip = settings.gradient_clip
        self.optimiser = build_optimiser(network, settings)
        self.average = MovingAverage(network, settings.ema_decay)
        self.weights = list(network.parameters())
        self.about = {"torch": torch.__version__}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `serving.Contender`."""
        samples = [sample(labelled(each), self.network.config) for each in system["structures"]]
        self.batch = join(samples).to("cpu", self.network.dtype)
        return float(self.step())

    def run(self, n_steps: int) -> None:
        """See `serving.Contender`."""
        for _ in range(n_steps):
            self.step()

    def step(self) -> torch.Tensor:
        """One step; the loss before it."""
        self.optimiser.zero_grad(set_to_none=True)
        evaluate = partial(energies_and_edge_gradients, self.network, training=True)
        prediction = predict(evaluate, self.batch, len(self.network.config.heads))
        value = loss(prediction, self.batch, self.loss)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, self.clip)
        self.optimiser.step()
        self.average.update()
        return value.detach()


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
