"""Settings of a head: its level of theory, its files, its reference energies, its filter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ase.data import atomic_numbers
from pydantic import Field, field_validator

from mhff.data.keys import Keys
from mhff.data.reading import LabelledStructure
from mhff.data.reference import E0sSetting
from mhff.errors import listing
from mhff.heads import HeadName, Note
from mhff.train.sections.loss import OwnWeights
from mhff.yamlfile import Section


class FilterSettings(Section):
    """Which structures of a head are used; isolated atoms always are."""

    elements: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The only elements a structure may have."""
    max_atoms: int | None = Field(default=None, ge=1)
    max_force: float | None = Field(default=None, gt=0)
    """Largest force on an atom, eV/A."""

    def accepts(self, structure: LabelledStructure) -> bool:
        """Whether a structure is used."""
        largest_force = structure.largest_force or 0.0
        refused = (
            self.elements is not None and not structure.elements <= set(self.elements),
            self.max_atoms is not None and structure.n_atoms > self.max_atoms,
            self.max_force is not None and largest_force > self.max_force,
        )
        return structure.is_isolated_atom or not any(refused)

    @field_validator("elements")
    @classmethod
    def _symbols(cls, elements: tuple[str, ...] | None) -> tuple[str, ...] | None:
        unknown = [symbol for symbol in elements or () if atomic_numbers.get(symbol, 0) == 0]
        if unknown:
            raise ValueError(f"expected chemical symbols, got {listing(unknown)}")
        return elements


class SourceSettings(Section):
    """Structures of one head: their files, the names of their labels, a filter."""

    files: tuple[Path, ...] = Field(min_length=1)
    """Labelled structures: files, folders or patterns; relative ones start at the config file."""
    keys: Keys = Keys()
    filter: FilterSettings = FilterSettings()
    weight: float = Field(default=1.0, gt=0)
    """Weight of these structures in the loss."""
    loss: OwnWeights = OwnWeights()
    """Weights of the terms where these structures need others than the section `loss` gives."""
    config_weights: dict[str, Annotated[float, Field(ge=0)]] = Field(default={})
    """Further factors of the weight, by `config_type`; 1 for those left out."""
    repeats: float = Field(default=1.0, gt=0)
    """How often an epoch sees each structure; see `mhff.train.sampling`."""

    @property
    def needs_labels(self) -> bool:
        """Whether the labels of the files are used."""
        return True

    @property
    def read_keys(self) -> Keys:
        """The names of the labels that are read."""
        return self.keys


class HeadSettings(SourceSettings):
    """One level of theory and its data."""

    level_of_theory: Note = "unknown"
    dispersion: bool | None = None
    """Whether the labels contain dispersion (D3, D4, VV10, ...)."""
    domain: Note = "unknown"
    licence: Note = "unknown"
    citation: Note = ""
    e0s: E0sSetting = "isolated"
    """Origin of the reference energies; a head of the start model keeps those it has."""
    start_from: HeadName | None = None
    """Head of the start model that a new head begins as; left out: its only head."""
