"""A worker process: one JSON object per line, a request on stdin, its answer on stdout.

| request          | answer                                                     |
|------------------|------------------------------------------------------------|
| {"prepare": job} | {"state": "finished"}, when the job's model has been compiled |
| {"run": job}     | a `Done`                                                   |
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import cache
from pathlib import Path

from mhff.errors import MHFFError
from mhff.evaluator import Evaluator
from mhff.modelfile import Model, load
from mhff.opening import open_evaluator
from mhff.options import CompileOptions, Precision
from mhff_suite.data import DataFolders
from mhff_suite.jobs import Done, Job
from mhff_suite.potential import HeadPotential
from mhff_suite.protocol import LeftOutError, Setting, check_elements
from mhff_suite.registry import all_tasks

MAX_PREPARED = 12
"""Largest number of elements that a model is compiled for before the first task."""


@cache
def opened(model: str, device: str) -> tuple[Model, Evaluator]:
    """A model and its evaluator in float64, which is compiled once that pays."""
    found = load(model)
    return found, open_evaluator(found, CompileOptions(device=device, precision=Precision.FLOAT64))


def setting_of(job: Job) -> Setting:
    """What a job's task is given."""
    model, evaluator = opened(job.model, job.device)
    head = model.heads[model.heads.index(job.head)]
    config = model.network.config
    E0s = model.network.reference_energies.E0s[model.heads.index(job.head)]
    quantities = {each.quantity for each in config.state_embeddings}
    return Setting(
        potential=HeadPotential(evaluator, job.head),
        head=head,
        elements=tuple(head.elements or model.elements),
        E0s=dict(zip(model.elements, E0s.tolist(), strict=True)),
        r_max=config.r_max,
        reach=config.r_max * config.n_layers,
        takes_charge="total_charge" in quantities,
        takes_spin="total_spin" in quantities,
        data=DataFolders(tuple(map(Path, job.data))),
        quick=job.quick,
    )


def run(job: Job) -> Done:
    """The result of a job; nothing that a task does wrong is raised."""
    start = time.perf_counter()
    try:
        task = all_tasks()[job.task]
        setting = setting_of(job)
        check_elements(task, setting)
        outcome = task.run(setting)
    except LeftOutError as error:
        return Done(state="left out", why=str(error))
    except MHFFError as error:
        return Done(state="failed", why=str(error))
    except Exception as error:  # a task must not end the others
        return Done(state="failed", why=f"{type(error).__name__}: {error}")
    return Done(state="finished", seconds=time.perf_counter() - start, outcome=outcome)


def prepare(job: Job) -> Done:
    """Compile a job's model now, unless it knows too many elements to need all of them."""
    model, evaluator = opened(job.model, job.device)
    if len(model.elements) <= MAX_PREPARED:
        evaluator.prepare(model.elements)
    return Done(state="finished")


def serve() -> None:
    """Answer requests until stdin ends; whatever else is printed goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        ((name, value),) = json.loads(line).items()
        job = Job(**(value | {"data": tuple(value["data"])}))
        done = prepare(job) if name == "prepare" else run(job)
        answers.write(done.model_dump_json() + "\n")


if __name__ == "__main__":
    serve()
