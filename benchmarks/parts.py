"""Where the time of a step goes: each kernel of a lowered program, and what is left.

    .venv/bin/python benchmarks/parts.py

writes `benchmarks/results/parts.json`. One thread, bulk MgO. Kernels and products are timed in the
traced program by torch's profiler, whole steps in the compiled one; what is left is the difference.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from collections import defaultdict
from datetime import UTC, datetime
from typing import Any

import torch
from prepare import FOLDER
from result_tables import RESULTS
from torch.profiler import ProfilerActivity, profile

from mhff.atoms import graph_from_atoms
from mhff.files import kernel_folder
from mhff.graph import program_inputs
from mhff.model.config import ModelConfig
from mhff.modelfile import Model, load
from mhff.options import CompileOptions, Precision
from mhff_bench import count
from mhff_bench.systems import find_system
from mhff_deploy.artefact.constants import PACK_MATRIX, Packing
from mhff_deploy.artefact.runtime import ArtefactEvaluator, load_artefact
from mhff_deploy.compiling.build import build, complete
from mhff_deploy.compiling.lower import lower
from mhff_deploy.compiling.products import use_kernel
from mhff_deploy.compiling.recipe import sources_of, take_constants
from mhff_deploy.compiling.trace import trace

CASES = (("mp", "float32"), ("mp", "float64"), ("mh1", "float32"), ("mini", "float32"))
N_ATOMS = 216
N_STEPS = 12
NAMES = {
    "multiply": "matrix products",
    "convolution_0_adjoint_of_edges": "convolution_0_adjoint",
    "gate_0_adjoint_of_messages": "gate_0_adjoint",
}
"""Names of parts for kernels with other names."""
KERNEL = re.compile(r"mhff_\w+::(\w+)")


def measure(shape: str, dtype: str) -> dict[str, Any]:
    """Microseconds per atom of each part, and its multiply-adds if they are counted."""
    model = load(shape if shape == "mini" else FOLDER / f"{shape}.mhff")
    options = complete(CompileOptions(elements=("O", "Mg"), precision=Precision(dtype)))
    lowered = lower(model, options, kernel_folder())
    if lowered.kernels is None:
        raise SystemExit("this measures kernels, and there is no C++ compiler")
    lowered.kernels.load()
    traced = trace(lowered.network)
    take_constants(traced, sources_of(lowered.network, lowered.kernels))
    for name, factor in use_kernel(traced, lowered.kernels.namespace).items():
        packing = Packing(PACK_MATRIX, (getattr(traced, factor),))
        traced.register_buffer(name, packing.pack(lowered.kernels.namespace))
    evaluator = load_artefact(build(model, options, "aoti")[0], shape)
    inputs = inputs_of(model, evaluator)
    with torch.no_grad():
        times = [timed(evaluator.program, inputs) for _ in range(N_STEPS)]
        whole = 1e6 / N_ATOMS * statistics.median(times)
        parts = profiled(traced, inputs)
    parts["everything else"] = whole - sum(parts.values())
    neighbours = inputs[1].shape[1] / N_ATOMS
    return {
        "step": whole,
        "parts": parts,
        "counted": counted(lowered.network.config, neighbours),
        "neighbours": neighbours,
    }


def inputs_of(model: Model, evaluator: ArtefactEvaluator) -> tuple[torch.Tensor, ...]:
    """Inputs of a program for bulk MgO."""
    known = evaluator.capabilities
    graph = graph_from_atoms(find_system("mgo").atoms(N_ATOMS), known.elements, known.r_max)
    weights = torch.zeros(N_ATOMS, len(model.heads), dtype=torch.float64)
    weights[:, 0] = 1
    tables = () if evaluator.tables is None else evaluator.tables.of(graph.species)
    return (*program_inputs(graph, weights, torch.device("cpu"), known.dtype), *tables)


def timed(program: Any, inputs: tuple[torch.Tensor, ...]) -> float:
    """Seconds of one step."""
    start = time.perf_counter()
    program(*inputs)
    return time.perf_counter() - start


def profiled(traced: Any, inputs: tuple[torch.Tensor, ...]) -> dict[str, float]:
    """Microseconds per atom of each kernel; convolutions and gates include the maps after them."""
    traced(*inputs)
    with profile(activities=[ProfilerActivity.CPU]) as record:
        for _ in range(N_STEPS):
            traced(*inputs)
    parts: dict[str, float] = defaultdict(float)
    for event in record.key_averages():
        kernel = KERNEL.fullmatch(event.key)
        if kernel:
            parts[NAMES.get(kernel[1], kernel[1])] += event.self_cpu_time_total / N_STEPS / N_ATOMS
    return dict(sorted(parts.items(), key=lambda part: -part[1]))


def counted(config: ModelConfig, neighbours: float) -> dict[str, float]:
    """Multiply-adds per atom, forward and adjoint, of the parts."""
    layers = range(config.n_layers)
    found = {
        f"convolution_{layer}": neighbours
        * count.convolution(config, layer)
        * config.edge_channels(layer)
        + 2.0 * count.message_map(config, layer)
        for layer in layers
    }
    found |= {
        f"contraction_{layer}": float(count.product(config, layer) * config.n_channels)
        for layer in layers
    }
    found |= {
        f"gate_{layer}": 2.0 * count.gate_map(config, layer)
        for layer in layers
        if config.block(layer).is_nonlinear
    }
    others = sum(
        count.linear_maps(config, layer)
        - count.message_map(config, layer)
        - count.gate_map(config, layer)
        for layer in layers
    )
    return found | {"matrix products": 2.0 * others}


def main() -> None:
    """Measure all cases."""
    torch.set_num_threads(1)
    cases = {f"{shape}-{dtype}": measure(shape, dtype) for shape, dtype in CASES}
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "torch": torch.__version__,
        "atoms": N_ATOMS,
        "cases": cases,
    }
    (RESULTS / "parts.json").write_text(json.dumps(report, indent=1) + "\n")
    for name, case in cases.items():
        print(name, f"{case['step']:.1f} us per atom")
        for part, value in case["parts"].items():
            print(f"  {part:24s}{value:8.2f}")


if __name__ == "__main__":
    main()
