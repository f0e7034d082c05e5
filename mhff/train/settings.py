"""All settings of a training run, CONFIG.yaml of `mhff train`; energies in eV, lengths in A."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from mhff.errors import MHFFError, listing
from mhff.heads import HeadName
from mhff.model.config import ModelConfig
from mhff.modelfile import BUNDLED
from mhff.train.consistency import inconsistencies
from mhff.train.sections.data import DataSettings
from mhff.train.sections.fine_tuning import LoraSettings, check_part
from mhff.train.sections.heads import HeadSettings, SourceSettings
from mhff.train.sections.loss import LossSettings
from mhff.train.sections.optimiser import OptimiserSettings
from mhff.train.sections.replay import ReplaySettings
from mhff.train.sections.run import RunSettings
from mhff.train.sections.schedule import ScheduleSettings
from mhff.yamlfile import Section, mistakes, read_yaml, with_known_keys, with_mistakes

Source = TypeVar("Source", bound=SourceSettings)


class Settings(Section):
    """A training run."""

    name: str = Field(default="model", pattern=r"^[\w.-]+$")
    """Name of the model; its file is NAME.mhff."""
    model: dict[str, Any] = Field(default={})
    """Fields of `mhff.model.config.ModelConfig` except `heads`; elements default to the data's."""
    start_from: str | None = None
    """Model file or bundled model to fine-tune; its architecture stays, and so do its heads."""
    keep_heads: tuple[HeadName, ...] | None = None
    """Heads of the start model that stay; left out: all of them."""
    heads: dict[HeadName, HeadSettings] = Field(min_length=1)
    replay: dict[HeadName, ReplaySettings] = Field(default={})
    """Structures that keep heads of the start model in place, by head."""
    freeze: tuple[str, ...] = ()
    """Parts of the start model that stay as they are: see `mhff.train.sections.fine_tuning`."""
    lora: LoraSettings | None = None
    data: DataSettings = DataSettings()
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    run: RunSettings = RunSettings()

    @model_validator(mode="wrap")
    @classmethod
    def _consistent(cls, content: Any, build: Callable[[Any], Any]) -> Any:
        """Report mistakes between sections together with those inside them."""
        found = inconsistencies(content) if isinstance(content, Mapping) else ()
        return with_mistakes(found, lambda: build(content))

    @model_validator(mode="before")
    @classmethod
    def _preset_of_the_optimiser(cls, content: Any) -> Any:
        """A run with `start_from` has the optimiser's defaults for fine-tuning."""
        if not isinstance(content, dict) or content.get("start_from") is None:
            return content
        optimiser = content.get("optimiser", {})
        if not isinstance(optimiser, dict):
            return content
        return content | {"optimiser": {"preset": "fine_tuning"} | optimiser}

    @field_validator("freeze")
    @classmethod
    def _parts(cls, parts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(check_part, parts))

    @field_validator("model")
    @classmethod
    def _architecture(cls, model: dict[str, Any]) -> dict[str, Any]:
        """Check keys and values now, with hydrogen in place of the data's elements."""
        keys = sorted(set(ModelConfig.model_fields) - {"heads"})
        config: ModelConfig = with_known_keys(
            model, keys, lambda known: ModelConfig.model_validate({"elements": ("H",), **known})
        )
        if config.jumps_at_cutoff:
            raise ValueError(
                "apply_cutoff must be false with the nonlinear_residual block: else the energy "
                "jumps at r_max"
            )
        return model

    def architecture(self, elements: Sequence[str]) -> ModelConfig:
        """The model's architecture for these elements, unless the settings name others.

        `avg_num_neighbors` is that of the settings; see `neighbours_follow_from_data`.
        """
        derived = {"elements": tuple(elements)}
        return ModelConfig.model_validate({**derived, **self.model, "heads": tuple(self.heads)})

    @property
    def sources(self) -> dict[str, SourceSettings]:
        """Settings of all structures by head: those to learn from, and those to replay."""
        return {**self.heads, **self.replay}

    @property
    def neighbours_follow_from_data(self) -> bool:
        """Whether the settings leave `avg_num_neighbors` to the training structures."""
        return "avg_num_neighbors" not in self.model


def read_settings(path: str | os.PathLike[str]) -> Settings:
    """Settings from a YAML file; relative paths in it start at its folder.

    Raises MHFFError for anything that does not fit: all mistakes at once, each with its line, its
    key and the valid ones.
    """
    source = Path(path)
    content = read_yaml(source, "a training configuration in YAML")
    if not isinstance(content, dict):
        raise MHFFError(
            f"'{source}' is not a training configuration: expected the sections "
            f"{listing(Settings.model_fields)}"
        )
    try:
        settings = Settings.model_validate(content)
    except ValidationError as error:
        raise mistakes(error, source) from error
    return _with_paths_from(settings, source.resolve().parent)


def _with_paths_from(settings: Settings, folder: Path) -> Settings:
    """The settings with absolute paths; relative ones start at `folder`."""
    start = settings.start_from
    if start is not None and (start not in BUNDLED or (folder / start).exists()):
        start = str(folder / start)
    changes = {
        "start_from": start,
        "heads": _with_files_from(settings.heads, folder),
        "replay": _with_files_from(settings.replay, folder),
        "run": settings.run.model_copy(update={"out": folder / settings.run.out}),
    }
    return settings.model_copy(update=changes)


def _with_files_from(sources: Mapping[str, Source], folder: Path) -> dict[str, Source]:
    return {
        name: source.model_copy(update={"files": tuple(folder / file for file in source.files)})
        for name, source in sources.items()
    }
