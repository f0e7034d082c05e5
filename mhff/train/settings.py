"""Settings of a training run, the CONFIG.yaml of `mhff train`; energies in eV, lengths in A."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase.data import atomic_numbers
from pydantic import Field, ValidationError, field_validator, model_validator

from mhff.data.keys import Keys
from mhff.data.reading import LabelledStructure
from mhff.data.reference import E0sSetting
from mhff.errors import MHFFError, listing
from mhff.heads import HeadName, Note
from mhff.model.config import ModelConfig
from mhff.yamlfile import Section, mistakes, read_yaml, with_known_keys


class FilterSettings(Section):
    """Which structures of a head are used; isolated atoms always are."""

    elements: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The only elements a structure may have."""
    max_atoms: int | None = Field(default=None, ge=1)
    max_force: float | None = Field(default=None, gt=0)
    """Largest force on an atom, eV/A."""

    def accepts(self, structure: LabelledStructure) -> bool:
        """Whether a structure is used."""
        forces = structure.forces
        symbols = structure.atoms.get_chemical_symbols()
        refused = (
            self.elements is not None and not set(symbols) <= set(self.elements),
            self.max_atoms is not None and len(symbols) > self.max_atoms,
            self.max_force is not None
            and forces is not None
            and np.linalg.norm(forces, axis=1).max() > self.max_force,
        )
        return structure.is_isolated_atom or not any(refused)

    @field_validator("elements")
    @classmethod
    def _symbols(cls, elements: tuple[str, ...] | None) -> tuple[str, ...] | None:
        unknown = [symbol for symbol in elements or () if atomic_numbers.get(symbol, 0) == 0]
        if unknown:
            raise ValueError(f"expected chemical symbols, got {listing(unknown)}")
        return elements


class HeadSettings(Section):
    """One level of theory and its data."""

    files: tuple[Path, ...] = Field(min_length=1)
    """Labelled structures: files, folders or patterns; relative ones start at the config file."""
    level_of_theory: Note = "unknown"
    dispersion: bool | None = None
    """Whether the labels contain dispersion (D3, D4, VV10, ...)."""
    domain: Note = "unknown"
    licence: Note = "unknown"
    citation: Note = ""
    weight: float = Field(default=1.0, gt=0)
    """Weight of this head's structures in the loss."""
    keys: Keys = Keys()
    e0s: E0sSetting = "isolated"
    filter: FilterSettings = FilterSettings()


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


class LossSettings(Section):
    """Weights of Huber losses: quadratic below `delta`, linear above."""

    energy: float = Field(default=1.0, ge=0)
    """Weight of the energy per atom, per eV."""
    forces: float = Field(default=10.0, ge=0)
    """Weight of the force components, per eV/A."""
    stress: float = Field(default=10.0, ge=0)
    """Weight of the stress components, per eV/A^3."""
    delta: float = Field(default=0.01, gt=0)
    """Error at which quadratic becomes linear, in the unit of each quantity."""


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


class RunSettings(Section):
    """Length, device and output of the run."""

    out: Path = Path("runs")
    """Folder for checkpoint, log, error tables and model; see `HeadSettings.files`."""
    seed: int = Field(default=0, ge=0)
    epochs: int = Field(default=100, ge=1)
    batch_size: int = Field(default=8, ge=1)
    device: str = Field(default="cpu", pattern=r"^(cpu|cuda(:\d+)?)$")
    dtype: Literal["float32", "float64"] = "float32"
    kernels: bool = True
    """Whether training runs in compiled kernels, on CPUs with a C++ compiler."""


class Settings(Section):
    """A training run."""

    name: str = Field(default="model", pattern=r"^[\w.-]+$")
    """Name of the model; its file is NAME.mhff."""
    model: dict[str, Any] = Field(default={})
    """Fields of `mhff.model.config.ModelConfig` except `heads`; elements default to the data's."""
    heads: dict[HeadName, HeadSettings] = Field(min_length=1)
    data: DataSettings = DataSettings()
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    run: RunSettings = RunSettings()

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
    heads = {
        name: head.model_copy(update={"files": tuple(folder / file for file in head.files)})
        for name, head in settings.heads.items()
    }
    run = settings.run.model_copy(update={"out": folder / settings.run.out})
    return settings.model_copy(update={"heads": heads, "run": run})
