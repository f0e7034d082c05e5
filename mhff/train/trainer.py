"""The Lightning trainer: device, length and callbacks of a run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import Callback, Trainer

from mhff.errors import MHFFError
from mhff.train.settings import Settings


def make_trainer(settings: Settings, callbacks: Sequence[Callback]) -> Trainer:
    """Lightning's trainer of a run; raises MHFFError if the run's device is missing."""
    run = settings.run
    device = torch.device(run.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise MHFFError(
            f"run.device is {run.device} but torch finds no CUDA device; set run.device to cpu"
        )
    return Trainer(
        accelerator="gpu" if device.type == "cuda" else device.type,
        devices=1 if device.index is None or device.type == "cpu" else [device.index],
        # one process; Lightning would look for a cluster, and load MPI for that
        plugins=[LightningEnvironment()],
        max_epochs=run.epochs,
        callbacks=list(callbacks),
        gradient_clip_val=settings.optimiser.gradient_clip,
        reload_dataloaders_every_n_epochs=1,
        inference_mode=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=True,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=run.out,
    )
