"""The plan of a training run, for `mhff train --dry-run`: nothing is trained or written."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from statistics import median
from time import perf_counter

import torch

from mhff.data.batch import Batch, join
from mhff.data.split import PARTS
from mhff.data.statistics import elements_of
from mhff.data.streaming import inspect
from mhff.durations import in_words
from mhff.errors import listing
from mhff.model.mace import MACE
from mhff.train.frozen import describe_trained
from mhff.train.headdata import HeadData
from mhff.train.processes import Processes, single_device
from mhff.train.run import Run
from mhff.train.sampling import batches, shares
from mhff.train.trainer import Trainer

TIMED_STEPS = 3
"""Steps that are timed, after one step on the largest batch."""
GIB = 2.0**30


def plan(run: Run) -> list[str]:
    """Lines for the user: data, E0s and statistics per head, what is trained, memory and time.

    Takes a few training steps to measure the last two; the weights stay as they are.
    """
    return [
        *run.summary(),
        *map(_statistics, run.heads),
        *_model(run.network),
        *_cost(run),
    ]


def _statistics(head: HeadData) -> str:
    """Elements of a head by part, and the statistics that scale its readout."""
    elements = "; ".join(f"{part} {listing(elements_of(head.parts[part]))}" for part in PARTS)
    return (
        f"head {head.name}: elements: {elements}; weight {head.settings.weight:g}; mean "
        f"interaction energy {head.statistics.shift:.4f} eV/atom, rms force "
        f"{head.statistics.scale:.4f} eV/A"
    )


def _model(network: MACE) -> list[str]:
    """Elements, and numbers of weights."""
    config = network.config
    return [
        f"model: elements {listing(config.elements)}; r_max {config.r_max:g} A; "
        f"{config.avg_num_neighbors:.1f} neighbours per atom",
        *describe_trained(network),
    ]


def _cost(run: Run) -> list[str]:
    """Memory and time of the run, from steps on its own batches."""
    size = run.settings.run.batch_size
    samples = run.samples["train"]
    trainer = run.trainer(Processes(single_device(run.settings.run.device)))
    n_edges = inspect(samples)[:, 1]
    largest = [samples[number] for number in n_edges.argsort(kind="stable")[-size:]]
    _step(trainer, largest)
    timed = batches(trainer.sampling.order(0), size)[:TIMED_STEPS]
    seconds = median(_step(trainer, [samples[number] for number in batch]) for batch in timed)
    n_steps = trainer.n_steps
    return [
        f"memory: {_memory(trainer.processes.device):.2f} GiB in the largest batch, {len(largest)} "
        "structures",
        f"time: {n_steps} steps ({run.settings.run.epochs} epochs of {trainer.steps_per_epoch}), "
        f"{in_words(seconds)} each, about {in_words(seconds * n_steps)} without validation",
    ]


def _step(trainer: Trainer, samples: Sequence[Batch]) -> float:
    """Time of one step's loss and gradients, s; the gradients are discarded."""
    start = perf_counter()
    numbers = shares(range(len(samples)), 0, 1, trainer.settings.run.accumulate)
    trainer.gradients([join([samples[number] for number in part]) for part in numbers])
    if trainer.processes.device.type == "cuda":
        torch.cuda.synchronize(trainer.processes.device)
    seconds = perf_counter() - start
    trainer.network.zero_grad(set_to_none=True)
    return seconds


def _memory(device: torch.device) -> float:
    """Largest memory so far, GiB, of the process or on the GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
