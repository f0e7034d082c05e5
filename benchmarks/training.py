"""Training steps of mhff and of mace-torch, in turns, and an epoch of `examples/mini`.

    .venv/bin/python benchmarks/training.py [CASE ...] [--results FOLDER] [--rounds N] [--no-epoch]

writes `training.json` and all tables into FOLDER, or among the committed ones. A step computes
energies, forces and stress of a batch, the gradients of all weights, clips them, and updates the
weights and their average. Both have the same weights, batch, loss and settings of the optimiser;
the losses of the first steps are compared. All cases take an estimated 15 to 20 minutes on two
quiet cores; `prepare.py` makes the models.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from epoch import epochs
from prepare import FOLDER, PYTHON
from result_tables import RESULTS, write_tables

from mhff.errors import MHFFError
from mhff_bench.batches import BATCHES, Batch, smallest
from mhff_bench.contenders import Contender
from mhff_bench.machine import machine
from mhff_bench.peers import PEERS
from mhff_bench.turns import Times, take_turns

COMMANDS = {
    "mhff": (sys.executable, "-P", "-m", "mhff_bench.training_worker"),
    "mace-torch": (
        str(PYTHON),
        str(Path(__file__).parent / "mhff_bench" / "workers" / "training_peer.py"),
    ),
}
SETTINGS = {
    "loss": {"energy": 1.0, "forces": 10.0, "stress": 10.0, "delta": 0.02},
    "optimiser": {
        "learning_rate": 1e-3,
        "weight_decay": 5e-7,
        "ema_decay": 0.99,
        "gradient_clip": 10.0,
    },
}
N_COMPARED = 3
"""Steps whose losses are compared; those after the first depend on all gradients."""
TOLERANCE = {"float32": 1e-4, "float64": 1e-7}
"""Largest relative difference of losses by precision."""
BLOCK = 1.0
"""Length of a contender's turn, s."""


@dataclass(frozen=True)
class Case:
    """A shape, its batch and a precision; with more threads than one for ours and the peer."""

    shape: str
    batch: str
    dtype: str
    threads: tuple[int, ...] = (1,)
    rounds: int = 7

    def contenders(self) -> Iterator[Contender]:
        """Ours and the peer with each number of threads."""
        for threads in self.threads:
            for name, command in COMMANDS.items():
                peer = PEERS.get(name)
                file = FOLDER / (self.shape + (".model" if peer else ".mhff"))
                options = {
                    "engine": "training",
                    "model": str(file),
                    "dtype": self.dtype,
                    "threads": threads,
                    "kernels": True,
                }
                environment = peer.environment if peer else {}
                yield Contender(
                    name, command, options | SETTINGS, peer=peer, environment=environment
                )


CASES = {
    "mini-float32": Case("small", "mixture", "float32"),
    "mp-float32": Case("mp", "crystals", "float32", (1, 2)),
    "mh1-float32": Case("mh1", "crystals", "float32", rounds=5),
    "mini-float64": Case("small", "mixture", "float64"),
    "mp-float64": Case("mp", "crystals", "float64", rounds=5),
    "mh1-float64": Case("mh1", "crystals", "float64", rounds=5),
}


def measure(case: Case) -> dict[str, Any]:
    """Times, memory and losses of all contenders; raises MHFFError if their losses differ."""
    batch = BATCHES[case.batch]()
    contenders = list(case.contenders())
    with ExitStack() as stack:
        workers = [stack.enter_context(contender.start()) for contender in contenders]
        losses = [
            [worker.ask("prepare", batch)["value"] for _ in range(N_COMPARED)] for worker in workers
        ]
        check(losses, case.dtype)
        times = take_turns(workers, case.rounds, BLOCK, [1] * len(workers))
        versions = [worker.about for worker in workers]
    return {
        "structures": len(batch["structures"]),
        "atoms": sum(len(each["numbers"]) for each in batch["structures"]),
        "dtype": case.dtype,
        "contenders": [
            entry(contender, taken, batch) | {"losses": found, "about": about}
            for contender, taken, found, about in zip(
                contenders, times, losses, versions, strict=True
            )
        ],
    }


def check(losses: list[list[float]], dtype: str) -> None:
    """Raise MHFFError unless all contenders have the same losses."""
    expected, *others = losses
    for found in others:
        for one, other in zip(found, expected, strict=True):
            if not abs(one - other) <= TOLERANCE[dtype] * abs(other):  # true of NaN, too
                raise MHFFError(
                    f"expected the same losses, got {expected} and {found}; give both the same "
                    "model: benchmarks/prepare.py makes them"
                )


def entry(contender: Contender, times: Times, batch: Batch) -> dict[str, Any]:
    """A JSON object of one contender."""
    return {
        "name": contender.label,
        "settings": contender.peer.settings if contender.peer else "kernels",
        "threads": contender.threads,
        "steps": times.n_steps,
        "wall": times.wall,
        "cpu": times.cpu,
        "memory": memory(contender, batch),
    }


def memory(contender: Contender, batch: Batch) -> dict[str, int]:
    """Bytes: `loaded`, after steps with the smallest structure; `more`, for steps with all."""
    with replace(contender, environment={}).start() as worker:
        worker.ask("prepare", smallest(batch))
        worker.ask("run", 1)
        loaded = worker.ask("memory", "start")["bytes"]
        worker.ask("prepare", batch)
        worker.ask("run", 1)
        return {"loaded": loaded, "more": max(0, worker.ask("memory", "peak")["bytes"] - loaded)}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--results", type=Path, default=RESULTS, help="another folder")
    parser.add_argument("--rounds", type=int, help="another number of rounds")
    parser.add_argument("--no-epoch", action="store_true", help="without examples/mini")
    given = parser.parse_args()
    names = given.cases or list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"unknown case {', '.join(unknown)}: choose among {', '.join(CASES)}")
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {name: version(name) for name in ("mhff", "torch")},
        "cases": {},
        "epoch": None,
    }
    given.results.mkdir(parents=True, exist_ok=True)
    for name in names:
        print(f"{name}:", flush=True)
        case = CASES[name]
        found = measure(replace(case, rounds=given.rounds or case.rounds))
        report["cases"][name] = found
        for each in found["contenders"]:
            print(f"  {each['name']}, {each['threads']} threads:", end=" ")
            print(f"{1e3 * min(each['wall']):.1f} ms", f"{each['memory']['more'] / 1e6:.1f} MB")
    if not given.no_epoch:
        report["epoch"] = epochs()
    (given.results / "training.json").write_text(json.dumps(report, indent=1) + "\n")
    write_tables(given.results)


if __name__ == "__main__":
    main()
