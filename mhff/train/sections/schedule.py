"""Settings of the learning rate's course."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mhff.yamlfile import Section

KEYS_OF_PLATEAU = ("factor", "patience")


class ScheduleSettings(Section):
    """Course of the learning rate: it grows during the warm-up, then follows `kind`."""

    kind: Literal["cosine", "plateau", "constant"] = "cosine"
    """cosine: half a cosine to zero at the last step; plateau: lower when validation stagnates."""
    warm_up: float = Field(default=1.0, ge=0)
    """Epochs in which the learning rate grows linearly to its full value."""
    factor: float = Field(default=0.8, gt=0, lt=1)
    """Factor of the learning rate at each plateau."""
    patience: int = Field(default=10, ge=0)
    """Epochs without a lower validation loss that are not yet a plateau."""

    @model_validator(mode="after")
    def _plateau_only(self) -> ScheduleSettings:
        defaults = type(self).model_fields
        changed = [key for key in KEYS_OF_PLATEAU if getattr(self, key) != defaults[key].default]
        if self.kind != "plateau" and changed:
            raise ValueError(
                f"kind: {self.kind} has no {' and no '.join(changed)}; remove them, or set kind to "
                "plateau"
            )
        return self
