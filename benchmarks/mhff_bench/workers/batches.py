"""One measurement of `benchmarks/batches.py`: `PYTHON batches.py TASK DTYPE HEAD MODEL STRUCTURES`.

| task       | what is timed                                                     |
|------------|-------------------------------------------------------------------|
| loop       | mace-torch's calculator, one structure after the other            |
| relax-mace | steps of FIRE in torch-sim with mace-torch, structures side by side |
| relax-mhff | the same with mhff                                                |

Prints one JSON object. mace-torch's tasks run in the peer's interpreter, without mhff.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import ase.io
import torch

N_STEPS = {"relax-mace": 3, "relax-mhff": 30}
SHORT = 1e-4
"""Time step of FIRE: a random model may pull atoms into each other, and a step costs the same."""


def loop(dtype: str, head: str, model: str, structures: list[Any]) -> dict[str, float]:
    """Seconds per atom of energies and forces, after two structures that do not count."""
    from mace.calculators import MACECalculator

    calculator = MACECalculator(model_paths=model, device="cpu", default_dtype=dtype, head=head)
    for atoms in structures:
        atoms.calc = calculator
    for atoms in structures[:2]:
        atoms.get_forces()
    timed = structures[2:]
    start = time.perf_counter()
    for atoms in timed:
        atoms.get_forces()
    seconds = time.perf_counter() - start
    return {"seconds_per_atom": seconds / sum(map(len, timed))}


def relax(task: str, model: Any, structures: list[Any]) -> dict[str, float]:
    """Relaxation steps per second, counted for each structure."""
    import torch_sim

    state = torch_sim.initialize_state(structures, model.device, model.dtype)
    start_fire, step = torch_sim.optimizers.fire(model=model, dt_start=SHORT, dt_max=SHORT)
    state = step(start_fire(state))
    n_steps = N_STEPS[task]
    start = time.perf_counter()
    for _ in range(n_steps):
        state = step(state)
    seconds = time.perf_counter() - start
    return {"steps_per_s": n_steps * len(structures) / seconds}


def mace_in_torch_sim(dtype: str, head: str, model: str) -> Any:
    """mace-torch in torch-sim, whose model takes no head: the network is asked for this one."""
    from torch_sim.models.mace import MaceModel

    network = torch.load(model, map_location="cpu", weights_only=False)
    column = network.heads.index(head)
    forward = network.forward

    def with_head(data: dict[str, Any], **options: Any) -> Any:
        n_systems = len(data["ptr"]) - 1
        return forward(data | {"head": torch.full((n_systems,), column)}, **options)

    network.forward = with_head
    kind = getattr(torch, dtype)
    return MaceModel(network, device=torch.device("cpu"), dtype=kind, compute_stress=False)


def main(task: str, dtype: str, head: str, model: str, structures: str) -> None:
    """Take one measurement."""
    read: Any = ase.io.read(structures, ":")
    for atoms in read:
        atoms.set_cell([60.0] * 3)  # mace-torch in torch-sim divides by a volume
    if task == "loop":
        found = loop(dtype, head, model, read)
    elif task == "relax-mace":
        torch.set_default_dtype(getattr(torch, dtype))
        found = relax(task, mace_in_torch_sim(dtype, head, model), read)
    else:
        from mhff.torchsim import MHFFModel

        kind = getattr(torch, dtype)
        ours = MHFFModel(model, head, dtype=kind, form="aoti", compute_stress=False)
        found = relax(task, ours, read)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
