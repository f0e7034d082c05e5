"""Settings of the optimiser, with defaults for training from scratch and for fine-tuning."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from mhff.yamlfile import Section

PRESETS: dict[str, dict[str, float]] = {
    "from_scratch": {},
    "fine_tuning": {"learning_rate": 1e-4, "ema_decay": 0.99999},
}
"""Defaults of a preset; `fine_tuning` has those that mace-torch sets for multi-head fine-tuning."""


class OptimiserSettings(Section):
    """Adam with amsgrad, gradient clipping, and a moving average of the weights."""

    preset: Literal["from_scratch", "fine_tuning"] = "from_scratch"
    """Defaults of the other keys: see `PRESETS`. A run with `start_from` has `fine_tuning`."""
    kind: Literal["adamw", "adam"] = "adamw"
    """Whether weight decay acts on the weights (adamw) or is part of the gradient (adam)."""
    learning_rate: float = Field(default=0.01, gt=0)
    """Largest learning rate; the section `schedule` changes it."""
    weight_decay: float = Field(default=5e-7, ge=0)
    """Weight decay of the maps between features and of the product's weights."""
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    """Decay per step of the moving average of the weights, which is validated and saved."""
    gradient_clip: float | None = Field(default=10.0, gt=0)
    """Maximum norm of the gradient; null: none."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_preset(cls, content: Any) -> Any:
        if isinstance(content, dict) and isinstance(content.get("preset"), str):
            return PRESETS.get(content["preset"], {}) | content
        return content
