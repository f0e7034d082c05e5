"""The labels of one frame: everything that ASE keeps beside the atoms, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms

from mhff.data.keys import Keys, KeySetting
from mhff.errors import MHFFError, listing, printable

Shape = tuple[int, ...]
WORDS = {
    "energy": ("energy",),
    "forces": ("force",),
    "stress": ("stress",),
    "virials": ("virial",),
    "charge": ("charge",),
    "spin": ("spin", "multiplicity"),
}
"""Words that reveal a label under an unexpected name."""


class Labels:
    """The labels of a frame by name; `place` is for error messages."""

    def __init__(self, frame: Atoms, keys: Keys, setting: KeySetting, place: str) -> None:
        self.values = all_labels(frame)
        self.keys = keys
        self.setting = setting
        self.place = place
        self.not_finite: list[str] = []
        """Names of the labels found so far that hold NaN or infinity."""
        self._shapes: dict[str, Sequence[Shape]] = {
            "forces": [(len(frame), 3)],
            "stress": [(6,), (9,), (3, 3)],
            "virials": [(6,), (9,), (3, 3)],
        }

    def find(self, label: str) -> np.ndarray | None:
        """A label's numbers, None if the frame has none.

        Raises MHFFError for values of the wrong shape, and for two spellings that disagree.
        """
        found = {name: self._array(label, name) for name in self._present(label)}
        for name, value in found.items():
            other = next(iter(found))
            if not np.array_equal(value, found[other], equal_nan=True):
                raise MHFFError(
                    f"{self.place} has different numbers under '{other}' and '{name}'; remove one, "
                    f"or set {self.setting.name(label)} to the right one"
                )
        return next(iter(found.values()), None)

    def refuse_other_names(self, *labels: str) -> None:
        """Raise MHFFError if numbers that look like one of these labels have another name.

        Labels whose key is null do not count.
        """
        for label in labels:
            others = self.similar(label) if self.keys.names(label) else []
            if others:
                raise MHFFError(
                    f"no {label} under {self._quoted(label)} in {self.place}, which has "
                    f"{listing(others)}; {self.setting.advice(label)}"
                )

    def similar(self, label: str) -> list[str]:
        """Other names whose values could be this label, by a word in the name and by shape."""
        words = WORDS[label]
        shapes = self._shapes.get(label, [()])
        return sorted(
            name
            for name, value in self.values.items()
            if any(word in name.lower() for word in words)
            and name not in self.keys.names(label)
            and _numeric_shape(value) in shapes
        )

    def text(self, label: str) -> str | None:
        """A label that is text, without control characters."""
        present = self._present(label)
        return printable(str(self.values[present[0]])) if present else None

    def _present(self, label: str) -> list[str]:
        return [name for name in self.keys.names(label) if name in self.values]

    def _quoted(self, label: str) -> str:
        return " or ".join(f"'{name}'" for name in self.keys.names(label))

    def _array(self, label: str, name: str) -> np.ndarray:
        shapes = self._shapes.get(label, [()])
        try:
            value = np.asarray(self.values[name], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise MHFFError(
                f"expected numbers under '{name}' in {self.place}, got {self.values[name]!r}; "
                "check the file"
            ) from error
        if value.shape not in shapes:
            expected = " or ".join(str(list(shape)) for shape in shapes)
            raise MHFFError(
                f"expected the shape {expected} under '{name}' in {self.place}, got "
                f"{list(value.shape)}; check the file or {self.setting.name(label)}"
            )
        if not np.isfinite(value).all():
            self.not_finite.append(name)
        return value


def all_labels(frame: Atoms) -> dict[str, Any]:
    """Everything that a frame carries beside its atoms.

    ASE moves the plain keys `energy`, `forces` and `stress` to a calculator, and its databases keep
    what users add in `key_value_pairs` and `data`.
    """
    results = frame.calc.results if frame.calc else {}
    info = dict(frame.info)
    pairs = info.pop("key_value_pairs", {})
    data = info.pop("data") if isinstance(info.get("data"), dict) else {}
    arrays = {
        name: value for name, value in frame.arrays.items() if name not in ("numbers", "positions")
    }
    values = {**results, **data, **pairs, **info, **arrays}
    return {str(name): value for name, value in values.items()}


def _numeric_shape(value: Any) -> Shape | None:
    """The shape of numbers, None for anything else."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return None
    return array.shape if np.issubdtype(array.dtype, np.number) else None
