"""What heads learn from each other: trained alone, jointly, by replay, and naively.

    .venv/bin/python benchmarks/cross_learning.py [RECIPE ...] [--blocks BLOCK ...] [--seeds N ...]
    .venv/bin/python benchmarks/cross_learning.py --table

The first command trains in `runs/cross_learning`, one `mhff train` after another, and keeps runs
that are finished; it may be interrupted at any moment. The second writes
`results/cross_learning.md` and `.json` from the finished runs. Runs that are compared take the same
number of gradient steps, have the same size and see equally many structures of each head that they
learn; `replay` and `naive` start from the run `materials` of the same block and seed.
`cross_learning_recipes.py` holds the recipes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import ase.io
import yaml
from cross_learning_recipes import (
    BASE,
    BLOCKS,
    EXPERIMENTS,
    KEYS,
    LOSS,
    MODEL,
    RECIPES,
    SOURCES,
    SPLIT,
    STEPS_PER_EPOCH,
    STRUCTURES_PER_STEP,
    THEORIES,
    Recipe,
)
from cross_learning_table import results
from result_tables import RESULTS, write_tables

from mhff.data.reading import ISOLATED_ATOM
from mhff.data.split import part_of
from mhff_bench.worker import MHFF_COMMAND

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "runs" / "cross_learning"
SEEDS = (0, 1, 2)
ALL = RECIPES | EXPERIMENTS


@dataclass(frozen=True)
class Run:
    """One recipe with one block and one seed."""

    recipe: str
    block: str
    seed: int

    @property
    def folder(self) -> Path:
        """Folder of the configuration and of all results."""
        return FOLDER / f"{self.recipe}-{self.block}-{self.seed}"

    @property
    def report(self) -> Path:
        """The numbers of a finished run."""
        return self.folder / "report.json"

    def train(self) -> None:
        """Train, or continue an interrupted run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(self.content(), sort_keys=False))
        with (self.folder / "log.txt").open("a") as log:
            subprocess.run(
                [*MHFF_COMMAND, "train", str(config)], check=True, stdout=log, stderr=log
            )

    def content(self) -> dict[str, Any]:
        """The configuration."""
        recipe = ALL[self.recipe]
        return {
            "name": "model",
            **(self._scratch() if recipe.replayed is None else self._fine_tuning(recipe)),
            "heads": {
                head: {"level_of_theory": THEORIES[head]} | source(head, STRUCTURES_PER_STEP)
                for head in recipe.heads
            },
            "data": SPLIT,
            "loss": LOSS,
            "optimiser": {"learning_rate": recipe.learning_rate, "ema_decay": 0.99},
            "freeze": list(recipe.freeze),
            "run": {
                "out": str(self.folder),
                "seed": self.seed,
                "epochs": recipe.epochs,
                "batch_size": recipe.batch_size,
            },
        }

    def _scratch(self) -> dict[str, Any]:
        """What only a run from scratch has."""
        return {"model": {**MODEL, "interaction": self.block, **BLOCKS[self.block]}}

    def _fine_tuning(self, recipe: Recipe) -> dict[str, Any]:
        """What only a run from the base has."""
        base = Run(BASE, self.block, self.seed).folder / "model.mhff"
        weight = 1.0 if recipe.replayed else 0.0
        replayed = source(BASE, recipe.replayed or STRUCTURES_PER_STEP) | {"weight": weight}
        return {"start_from": str(base), "replay": {BASE: replayed}}


def source(head: str, per_step: int) -> dict[str, Any]:
    """The data of a head, repeated so that a step has this many structures on average."""
    repeats = STEPS_PER_EPOCH * per_step / n_training(head)
    return {"files": [str(data_file(head))], "keys": KEYS[head], "repeats": repeats}


def data_file(head: str) -> Path:
    """The merged data of a head."""
    return FOLDER / "data" / f"{head}.extxyz"


@cache
def n_training(head: str) -> int:
    """Number of training structures."""
    frames = ase.io.read(data_file(head), ":")
    learned = [frame for frame in frames if frame.info["config_type"] != ISOLATED_ATOM]
    return sum(part_of(frame, **SPLIT) == "train" for frame in learned)


def merge(head: str) -> None:
    """Write the merged data of a head, corrected for the basis, unless they are there."""
    file = data_file(head)
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"partial-{file.name}")
    first, *more = [ROOT / "data" / name for name in SOURCES[head]]
    shutil.copy(first, partial)
    raw = [str(path) for path in more if path.exists()]
    script = ROOT / "data" / "generate" / "merge.py"
    subprocess.run([sys.executable, str(script), *raw, str(partial)], check=True)
    partial.rename(file)


def planned(recipes: Sequence[str], blocks: Sequence[str], seeds: Sequence[int]) -> Iterator[Run]:
    """Runs, one seed after another."""
    for seed in seeds:
        for block in blocks:
            for recipe in recipes:
                yield Run(recipe, block, seed)


def main() -> None:
    """Train what is missing, or write the tables."""
    parser = argparse.ArgumentParser(description="Train alone, jointly, by replay and naively.")
    parser.add_argument("recipes", nargs="*", default=[], help=", ".join(ALL))
    parser.add_argument("--blocks", nargs="+", default=list(BLOCKS), choices=list(BLOCKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--table", action="store_true", help="write the tables, train nothing")
    arguments = parser.parse_args()
    recipes = arguments.recipes or list(ALL if arguments.table else RECIPES)
    runs = list(planned(recipes, arguments.blocks, arguments.seeds))
    if arguments.table:
        finished = [run for run in runs if run.report.is_file()]
        found = results([(run.recipe, run.block, run.seed, run.report) for run in finished])
        (RESULTS / "cross_learning.json").write_text(json.dumps(found, indent=1) + "\n")
        write_tables(RESULTS)
        return
    for head in SOURCES:
        merge(head)
    for run in runs:
        if not run.report.is_file():
            print(f"{run.recipe}, {run.block}, seed {run.seed}", flush=True)
            run.train()


if __name__ == "__main__":
    main()
