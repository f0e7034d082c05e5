"""The recipes that `cross_learning.py` compares, and what all of them have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

SOURCES = {
    "materials": ("materials.extxyz",),
    "surfaces": ("surfaces.extxyz",),
    "molecules": ("molecules.extxyz", "molecules-new.extxyz"),
}
"""Files in `data/` by head; those that are missing have been merged into the others."""
THEORIES = {
    "materials": "PBE, PAW, plane waves 400 eV (GPAW), spin-paired",
    "surfaces": "RPBE, PAW, plane waves 400 eV (GPAW), spin-paired",
    "molecules": "wB97M-D3(BJ)/def2-SVP (PySCF)",
}
"""Level of theory of each head, for `mhff suite`."""
KEYS: dict[str, dict[str, Any]] = {
    "materials": {},
    "surfaces": {"stress": None},
    "molecules": {},
}
"""Labels that are left out: stresses of slabs, whose cells hold vacuum."""
SPLIT = {"valid": 0.1, "test": 0.2}
"""More test structures than by default: there are few surfaces."""
LOSS = {"energy": 10.0, "forces": 10.0, "stress": 10.0, "delta": 0.02}
STRUCTURES_PER_STEP = 4
"""Structures of each head in a step, on average."""
STEPS_PER_EPOCH = 200
EPOCHS = 10
LONG = 40
"""Epochs of longer runs."""
MODEL = {
    "elements": ["H", "C", "N", "O", "Mg"],
    "n_channels": 32,
    "n_edge_channels": 32,
    "hidden_lmax": 1,
    "l_max": 2,
    "correlation": 3,
    "r_max": 4.5,
    "n_radial": 8,
    "radial_mlp": [64, 64, 64],
    "distance_transform": "none",
}
BLOCKS: dict[str, dict[str, Any]] = {
    "residual": {"apply_cutoff": True, "agnostic_product": False},
    "nonlinear_residual": {"apply_cutoff": False, "agnostic_product": True},
}
"""The classic block, as in MACE-MP, and the non-linear one, as in mace-mh-1."""
BASE = "materials"
"""Head, and recipe, that fine-tuning starts from."""
LEARNING_RATE = 0.01
SLOW_RATE = 0.002


@dataclass(frozen=True)
class Recipe:
    """What a run learns, from where, and how fast."""

    heads: tuple[str, ...]
    """Heads to learn."""
    replayed: int | None = None
    """Structures of the base in a step; 0: they are measured only; None: a run from scratch."""
    learning_rate: float = LEARNING_RATE
    freeze: tuple[str, ...] = ()
    epochs: int = EPOCHS

    @property
    def steps(self) -> int:
        """Gradient steps."""
        return self.epochs * STEPS_PER_EPOCH

    @property
    def batch_size(self) -> int:
        """Structures in a step."""
        return STRUCTURES_PER_STEP * len(self.heads) + (self.replayed or 0)


NEW = ("surfaces", "molecules")
FIRST_LAYER = ("embedding", "interactions.0", "products.0", "readouts.0")
RECIPES = {
    "materials": Recipe(("materials",)),
    "surfaces": Recipe(("surfaces",)),
    "molecules": Recipe(("molecules",)),
    "joint": Recipe(tuple(SOURCES)),
    "replay": Recipe(NEW, replayed=STRUCTURES_PER_STEP),
    "naive": Recipe(NEW, replayed=0),
}
"""Heads alone, all jointly, and both ways of fine-tuning."""
EXPERIMENTS = {
    "replay-slow": replace(RECIPES["replay"], learning_rate=SLOW_RATE),
    "naive-slow": replace(RECIPES["naive"], learning_rate=SLOW_RATE),
    "replay-less": replace(RECIPES["replay"], replayed=1),
    "naive-frozen": replace(RECIPES["naive"], freeze=FIRST_LAYER),
    **{f"{head}-long": replace(RECIPES[head], epochs=LONG) for head in SOURCES},
    "joint-long": replace(RECIPES["joint"], epochs=LONG),
    "replay-long": replace(RECIPES["replay"], epochs=LONG),
}
"""Variations: slower; a quarter of the replay; the first layer frozen; four times as many steps."""
