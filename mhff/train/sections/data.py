"""Settings of all data: how the structures are divided."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mhff.yamlfile import Section


class DataSettings(Section):
    """How the structures are divided; the division depends on each structure alone."""

    valid: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the structures that choose the best epoch."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the structures that only the final error table sees."""
    suspicious: Literal["keep", "leave_out"] = "keep"
    """Whether structures whose energy or forces are probably wrong are trained on."""

    @model_validator(mode="after")
    def _some_to_train_on(self) -> DataSettings:
        if self.valid + self.test >= 1:
            raise ValueError(
                f"valid + test must be less than 1, got {self.valid:g} + {self.test:g}: no "
                "structures would be left to train on"
            )
        return self
