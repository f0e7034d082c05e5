"""Writes `mp.model` and `mh1.model`, random models of these shapes, with mace-torch. Runs in the
peer environment.

.venv-peer/bin/python benchmarks/peer/write_models.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests" / "parity" / "peer")]

import random_models  # noqa: E402 - from the folders above
import torch  # noqa: E402
from ase import Atoms  # noqa: E402
from ase.build import bulk  # noqa: E402
from calibrate import calibrate, last_linear  # noqa: E402
from evaluate import batch_outputs  # noqa: E402
from shapes import HEADS, SHAPES  # noqa: E402

LARGEST_ENERGY = 10.0
"""Interaction energy, eV per atom: float32 has as few digits for hundreds of eV as no trained model
needs.
"""


def described(atoms: Atoms) -> dict[str, object]:
    """A structure as the parity tests' peer takes it."""
    return {
        "name": "magnesia",
        "numbers": atoms.numbers.tolist(),
        "positions": atoms.positions.tolist(),
        "cell": atoms.cell[:].tolist(),
        "pbc": atoms.pbc.tolist(),
        "charge": 0,
        "spin": 1,
    }


def limit_energy(model: torch.nn.Module, atoms: Atoms) -> None:
    """Scale the readouts down to the largest energy."""
    energies = batch_outputs(model, [described(atoms)])[1]["interaction_energy"].detach() / len(
        atoms
    )
    for readout in model.readouts:
        for parameter in last_linear(readout).parameters():
            parameter.data.mul_(LARGEST_ENERGY / max(LARGEST_ENERGY, float(energies.abs().max())))


def main() -> None:
    """Read the command line."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    random_models.HEADS.update(HEADS)
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True)
    atoms.rattle(0.05, seed=1)
    for name, options in SHAPES.items():
        model = random_models.build(options, seed=0)
        calibrate(model, [described(atoms)])
        limit_energy(model, atoms)
        torch.save(model, folder / f"{name}.model")


if __name__ == "__main__":
    main()
