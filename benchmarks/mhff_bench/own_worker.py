"""A worker with one of our engines: `python -m mhff_bench.own_worker`."""

from __future__ import annotations

from typing import Any

import torch

from mhff.engines import Steps
from mhff.errors import MHFFError
from mhff_bench.engines import find_engine
from mhff_bench.workers.serving import serve


def open_contender(options: dict[str, Any]) -> Steps:
    """The engine that the options name, with their model, form, precision, head and threads.

    Raises MHFFError for an engine whose software is not installed.
    """
    torch.set_num_threads(options["threads"])
    engine = find_engine(options["engine"])
    if engine.bench is None:
        raise MHFFError(f"the engine '{engine.name}' has no benchmark; leave it out")
    try:
        return engine.bench(options)
    except ImportError as error:
        raise MHFFError(
            f"the engine '{engine.name}' needs {error.name}, which is not installed; install it "
            "or leave it out"
        ) from error


if __name__ == "__main__":
    serve(open_contender)
