"""A worker with one of our engines: `python -m mhff_bench.workers.own`."""

from __future__ import annotations

from typing import Any

from mhff_bench.engines import find_engine
from mhff_bench.workers.serving import Contender, serve


def open_contender(options: dict[str, Any]) -> Contender:
    """The engine `options["engine"]` with the model, form, precision, head and threads that the
    options name.
    """
    import torch

    torch.set_num_threads(options["threads"])
    engine = find_engine(options["engine"])
    if engine.bench is None:
        raise ValueError(f"the engine '{engine.name}' has no benchmark")
    return engine.bench(options)


if __name__ == "__main__":
    serve(open_contender)
