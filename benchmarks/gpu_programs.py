"""Compiled programs on a GPU: errors, time per step and memory, for `gpu.py`.

    python benchmarks/gpu_programs.py compile SHAPE DTYPE PROGRAMS
    python benchmarks/gpu_programs.py measure SHAPE DTYPE PROGRAMS FOLDER MULTIPLY_ADDS_PER_SECOND

The first compiles a program into PROGRAMS and prints the seconds that it took. The second compares
it with the eager model, times it and prints what it found as JSON. They are processes of their own,
because a program once crashed where it had been compiled (`gpu.md`).
"""

from __future__ import annotations

import faulthandler
import json
import sys
import time as clock
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.build import bulk
from gpu_timing import profile, wall_time

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.graph import program_inputs
from mhff.model.config import Block, ModelConfig
from mhff.modelfile import Model, load
from mhff.options import CompileOptions, Precision
from mhff_bench.count import multiply_adds
from mhff_bench.random_networks import random_model
from mhff_bench.systems import DISPLACEMENT, LATTICE_CONSTANT, magnesia
from mhff_deploy.artefact.content import pack
from mhff_deploy.artefact.cuda_graphs import STEPS_BEFORE_RECORDING, GraphedProgram
from mhff_deploy.artefact.runtime import ArtefactEvaluator, load_artefact
from mhff_deploy.compiling.build import compile_unchecked
from mhff_deploy.compiling.verify import verify

HEADS = ("materials", "surfaces", "molecules")
ELEMENTS = ("O", "Mg")
CONFIGS = {
    "mp": ModelConfig(
        elements=ELEMENTS,
        heads=HEADS,
        n_channels=128,
        n_edge_channels=None,
        interaction=Block.RESIDUAL,
        agnostic_product=False,
        n_radial=8,
        distance_transform="none",
        apply_cutoff=True,
        zbl=False,
        avg_num_neighbors=88.0,
    ),
    "mh1": ModelConfig(elements=ELEMENTS, heads=HEADS),
}
"""Shapes of the random models; the default configuration is that of mace-mh-1."""
SIZES = {"mp": (54, 216, 1000, 10000), "mh1": (216, 1000), "mini": (54, 1000)}
"""Numbers of atoms by shape; `mini` is the bundled model."""
N_STEPS = 50
"""Number of steps in a median."""
N_STEPS_LARGE = 10
"""Number of steps for systems of `LARGE_SYSTEM` atoms or more."""
LARGE_SYSTEM = 5000
THREADS_OF_COMPILATION = 2
"""Compilations run side by side: with a thread for each core in each they take several minutes."""
PROFILED_SYSTEM = 1000
"""Number of atoms of the system whose kernels are profiled."""


def shape_model(shape: str) -> Model:
    """The bundled model, or a random one of this shape."""
    return load("mini") if shape == "mini" else random_model(CONFIGS[shape])


def compile_program(shape: str, dtype: str, folder: Path) -> float:
    """Compile a model into FOLDER; return the seconds."""
    torch.set_num_threads(THREADS_OF_COMPILATION)
    start = clock.monotonic()

    def say(step: str) -> None:
        print(f"    {shape}: [{clock.monotonic() - start:5.1f} s] {step}", flush=True)

    options = CompileOptions(elements=ELEMENTS, device="cuda", precision=Precision(dtype))
    parts, manifest = compile_unchecked(shape_model(shape), options, "aoti", say)
    say("done")
    content = pack(parts.code, manifest, parts.members)
    program_file(folder, shape).write_bytes(content)
    return clock.monotonic() - start


def program_file(folder: Path, shape: str) -> Path:
    """Where the program of a shape is kept while it is measured."""
    return folder / f"{shape}.mhffc"


def measure_programs(
    shape: str, dtype: str, programs: Path, folder: Path, rate: float
) -> dict[str, Any]:
    """Errors of the compiled program of a shape, and times of steps of several sizes.

    `rate`: multiply-adds per second of a matrix product.
    """
    evaluator = load_artefact(program_file(programs, shape).read_bytes(), "the program")
    tables = evaluator.manifest.tables
    model = shape_model(shape)
    found: dict[str, Any] = {"tables": tables.model_dump(), "sizes": {}}
    try:
        found["errors"] = verify(model, evaluator, tables)
    except MHFFError as error:  # times may be right all the same
        found["wrong"] = str(error)
    for n_atoms in SIZES[shape]:
        step = Step(evaluator, n_atoms)
        count = multiply_adds(model.network.config, step.neighbours).total
        found["sizes"][n_atoms] = {
            "neighbours": step.neighbours,
            "floor": n_atoms * count / rate,
            **measure_step(step),
        }
        print(f"    {shape}, {n_atoms} atoms: {found['sizes'][n_atoms]}", flush=True)
        if n_atoms == PROFILED_SYSTEM:
            (folder / f"profile-{shape}-{dtype}.txt").write_text(profile(step.launch))
    return found


class Step:
    """One step of MgO: a program and its inputs on the GPU."""

    def __init__(self, evaluator: ArtefactEvaluator, n_atoms: int) -> None:
        if not isinstance(evaluator.program, GraphedProgram):
            raise SystemExit("expected a program that records CUDA graphs")
        can = evaluator.capabilities
        graph = graph_from_atoms(crystal(n_atoms), can.elements, can.r_max)
        self.evaluator = evaluator
        self.graphed = evaluator.program
        self.n_atoms = n_atoms
        self.graph = graph.to("cuda", can.dtype)
        self.weights = torch.zeros(n_atoms, len(can.heads), dtype=torch.float64, device="cuda")
        self.weights[:, 0] = 1.0

    @property
    def neighbours(self) -> float:
        """Edges per atom."""
        return len(self.graph.edge_vectors) / self.n_atoms

    def evaluate(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Node energies and edge gradients as the evaluator gives them."""
        return self.evaluator.evaluate(self.graph, self.weights)

    def launch(self) -> Any:
        """Call the program itself, without a CUDA graph."""
        can = self.evaluator.capabilities
        inputs = program_inputs(self.graph, self.weights, torch.device("cuda"), can.dtype)
        return self.graphed.program(*inputs)


def measure_step(step: Step) -> dict[str, Any]:
    """Wall time and memory of a step with separate launches and, in small systems, as a graph."""
    found, launched = _timed(step, "launches", step.graphed.program)
    if step.n_atoms <= step.graphed.max_atoms:
        times, replayed = _timed(step, "graph", step.graphed)
        pairs = zip(replayed, launched, strict=True)
        found |= times
        found["graphs recorded"] = len(step.graphed.slots)
        found["graph differs by"] = max(float((one - other).abs().max()) for one, other in pairs)
    return found


def _timed(
    step: Step, name: str, program: Callable[..., Any]
) -> tuple[dict[str, Any], tuple[torch.Tensor, ...]]:
    step.evaluator.program = program
    for _ in range(STEPS_BEFORE_RECORDING + 2):
        results = step.evaluate()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    seconds = wall_time(step.evaluate, N_STEPS if step.n_atoms < LARGE_SYSTEM else N_STEPS_LARGE)
    memory = torch.cuda.max_memory_allocated()
    step.evaluator.program = step.graphed
    return {name: seconds, f"{name}, bytes": memory}, results


def crystal(n_atoms: int) -> Atoms:
    """Rattled MgO, in cubic cells where they fit, as in `mhff bench`, else in primitive cells."""
    if n_atoms % 8 == 0:
        return magnesia(n_atoms // 8)
    repeat = round((n_atoms / 2) ** (1 / 3))
    atoms = bulk("MgO", "rocksalt", a=LATTICE_CONSTANT) * (repeat, repeat, repeat)
    if len(atoms) != n_atoms:
        raise SystemExit(f"no crystal with {n_atoms} atoms")
    atoms.rattle(DISPLACEMENT, seed=1)
    return atoms


def main() -> None:
    """Read the command line."""
    faulthandler.enable()
    what, shape, dtype, programs, *others = sys.argv[1:]
    if what == "compile":
        print(compile_program(shape, dtype, Path(programs)))
    else:
        folder, rate = others
        found = measure_programs(shape, dtype, Path(programs), Path(folder), float(rate))
        print(json.dumps(found))


if __name__ == "__main__":
    main()
