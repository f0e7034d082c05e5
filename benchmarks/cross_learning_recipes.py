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
KEYS: dict[str, dict[str, Any]] = {
    "materials": {},
    "surfaces": {"stress": None},
    "molecules": {},
}
"""Labels that are left out: stresses of slabs, whose cells hold vacuum."""
SPLIT = {"valid": 0.1, "test": 0.2}
"""More test structures than by default: there are few surfaces."""
LOSS = {"energy": 10.0, "forces": 10.0, "stress": 10.0, "delta": 0.02}
BATCH_SIZE = 4
STEPS_PER_EPOCH = 200
EPOCHS = 10
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
SCRATCH_RATE = 0.01
FINE_TUNING_RATE = 0.005
SLOW_RATE = 0.001


@dataclass(frozen=True)
class Recipe:
    """What a run learns, from where, and how fast."""

    heads: tuple[str, ...]
    """Heads to learn."""
    replay_weight: float | None = None
    """Weight of the base's structures, 0 to measure them only; None: a run from scratch."""
    replay_share: float = 1 / 3
    """Share of the base's structures in an epoch, if they are replayed."""
    learning_rate: float = SCRATCH_RATE
    freeze: tuple[str, ...] = ()

    def share(self, head: str) -> float:
        """Share of a head in the structures of an epoch."""
        replayed = self.replay_share if self.replay_weight else 0.0
        return replayed if head not in self.heads else (1 - replayed) / len(self.heads)


NEW = ("surfaces", "molecules")
FIRST_LAYER = ("embedding", "interactions.0", "products.0", "readouts.0")
RECIPES = {
    "materials": Recipe(("materials",)),
    "surfaces": Recipe(("surfaces",)),
    "molecules": Recipe(("molecules",)),
    "joint": Recipe(tuple(SOURCES)),
    "replay": Recipe(NEW, replay_weight=1.0, learning_rate=FINE_TUNING_RATE),
    "naive": Recipe(NEW, replay_weight=0.0, learning_rate=FINE_TUNING_RATE),
}
"""Heads alone, all jointly, and both ways of fine-tuning."""
EXPERIMENTS = {
    "replay-slow": replace(RECIPES["replay"], learning_rate=SLOW_RATE),
    "naive-slow": replace(RECIPES["naive"], learning_rate=SLOW_RATE),
    "replay-half": replace(RECIPES["replay"], replay_share=0.5),
    "naive-frozen": replace(RECIPES["naive"], freeze=FIRST_LAYER),
}
"""Variations of fine-tuning: slower; half of an epoch replayed; the first layer frozen."""
