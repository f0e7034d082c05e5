"""Settings of all data: how the structures are divided, and where they are kept."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from mhff.yamlfile import Section

MAX_SIZE_IN_MEMORY = 2**28
"""Bytes of files whose structures and graphs are held in memory, where they take about 20 times."""


class DataSettings(Section):
    """How the structures are divided; the division depends on each structure alone."""

    valid: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the structures that choose the best epoch."""
    test: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the structures that only the final error table sees."""
    suspicious: Literal["keep", "leave_out"] = "keep"
    """Whether structures whose energy or forces are probably wrong are trained on.

    NaN and infinity are never: `keep` refuses them.
    """
    streaming: bool | Literal["auto"] = "auto"
    """Whether structures stay in their files and are read again in every epoch.

    auto: if the files of the run hold more than `MAX_SIZE_IN_MEMORY`. The result is the same.
    """
    workers: int | Literal["auto"] = Field(default="auto", union_mode="left_to_right")
    """Processes that read structures and make batches ahead, if the structures stay in files.

    auto: one for every four cores, one to eight. The result is the same.
    """

    @field_validator("workers")
    @classmethod
    def _no_fewer_than_none(cls, workers: int | str) -> int | str:
        if isinstance(workers, int) and workers < 0:
            raise ValueError(f"expected a number of processes or auto, got {workers}")
        return workers

    def streams(self, files: Iterable[Path]) -> bool:
        """Whether structures stay in these files."""
        if isinstance(self.streaming, bool):
            return self.streaming
        return sum(path.stat().st_size for path in files) > MAX_SIZE_IN_MEMORY

    @property
    def n_workers(self) -> int:
        """Number of processes that read structures which stay in files."""
        if isinstance(self.workers, int):
            return self.workers
        return min(max((os.cpu_count() or 1) // 4, 1), 8)

    @model_validator(mode="after")
    def _some_to_train_on(self) -> DataSettings:
        if self.valid + self.test >= 1:
            raise ValueError(
                f"valid + test must be less than 1, got {self.valid:g} + {self.test:g}: no "
                "structures would be left to train on"
            )
        return self
