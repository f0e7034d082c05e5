"""The names of labels in files, and the settings by which a user changes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from mhff.yamlfile import Section


def _spellings(value: Any) -> tuple[str, ...]:
    """Names as a tuple; for a validator, which turns the ValueError into a sentence."""
    if value is None:
        return ()
    names = (value,) if isinstance(value, str) else value
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"expected a name, a list of names or null, got {value!r}")
    return tuple(names)


Spellings = Annotated[tuple[str, ...], BeforeValidator(_spellings)]
"""One name, several names of which a file uses one, or null for none."""


class Keys(Section):
    """The name of each label."""

    energy: str | None = "REF_energy"
    """Total energy, eV; optional in each structure, as forces and stress are; null: ignored."""
    forces: str | None = "REF_forces"
    """Forces, eV/A; null: ignored."""
    stress: str | None = "REF_stress"
    """Stress, eV/A^3, ASE's sign, six numbers xx yy zz yz xz xy or nine; optional.

    null: stresses are ignored, and so are virials unless their key is given.
    """
    virials: str | None = "REF_virials"
    """Virials, eV, -stress * volume; used for structures without a stress; null: ignored."""
    head: str | None = "head"
    """The head a structure says it belongs to; null: ignored."""
    charge: Spellings = ("charge", "total_charge")
    """Total charge, e; the names are those of mhff and of mace-torch; null: ignored."""
    spin: Spellings = ("spin", "total_spin")
    """Spin multiplicity 2S + 1; null: ignored."""

    @model_validator(mode="before")
    @classmethod
    def _stress_means_virials_too(cls, content: Any) -> Any:
        if isinstance(content, dict) and "stress" in content and content["stress"] is None:
            return {"virials": None, **content}
        return content

    @property
    def chosen(self) -> tuple[str, ...]:
        """The labels whose names were given; at least one structure must have them."""
        return tuple(label for label in self.model_fields_set if self.names(label))

    def names(self, label: str) -> tuple[str, ...]:
        """The names of a label; none if it is ignored."""
        value: str | tuple[str, ...] | None = getattr(self, label)
        return _spellings(value)


@dataclass(frozen=True)
class KeySetting:
    """The setting by which a user changes a key, for messages."""

    pattern: str
    """The setting, with {} for the label."""
    nothing: str
    """The value that switches a label off."""

    def name(self, label: str) -> str:
        """The setting of a label."""
        return self.pattern.format(label)

    def advice(self, label: str) -> str:
        """Advice for a label that is not found."""
        return f"set {self.name(label)} to its name, or to {self.nothing} to go without"


DEFAULT_SETTING = KeySetting("keys.{}", "null")


def guess_keys(available: Collection[str], given: Mapping[str, str | None]) -> Keys:
    """Keys for a file with the names `available`.

    Given keys are kept. By default they are REF_energy, REF_forces, ... or, in a file that has only
    ASE's own, energy, forces, ... The names of forces, stress and virials follow that of the
    energy: dft_energy, dft_forces, ...
    """
    prefix = "REF_"
    energy = given.get("energy")
    if energy is not None and energy.endswith("energy"):
        prefix = energy.removesuffix("energy")
    elif energy is None and not _has_any("REF_", available) and _has_any("", available):
        prefix = ""
    names = {label: f"{prefix}{label}" for label in ("energy", "forces", "stress", "virials")}
    if "stress" in given and given["stress"] is None:
        del names["virials"]
    return Keys.model_validate({**names, **given})


def _has_any(prefix: str, available: Collection[str]) -> bool:
    """Whether energies or forces with this prefix are among the names."""
    return any(f"{prefix}{label}" in available for label in ("energy", "forces"))
