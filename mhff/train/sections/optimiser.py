"""Settings of the optimiser."""

from __future__ import annotations

from pydantic import Field

from mhff.yamlfile import Section


class OptimiserSettings(Section):
    """AdamW with warm-up, cosine decay, gradient clipping and an average of the weights."""

    learning_rate: float = Field(default=0.01, gt=0)
    warm_up: float = Field(default=1.0, ge=0)
    """Epochs in which the learning rate grows linearly to its full value."""
    weight_decay: float = Field(default=5e-7, ge=0)
    """Weight decay of the maps between features and of the product's weights."""
    ema_decay: float = Field(default=0.99, ge=0, lt=1)
    """Decay per step of the moving average of the weights, which is validated and saved."""
    gradient_clip: float = Field(default=10.0, gt=0)
    """Maximum norm of the gradient."""
