"""Labelled structures from files that ASE reads, extended XYZ above all. Units: eV, eV/A, eV/A^3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from pydantic import BaseModel, ConfigDict

from mhff.errors import MHFFError, listing
from mhff.state import CHARGE_KEY, SPIN_KEY

ISOLATED_ATOM = "IsolatedAtom"
"""`config_type` of the single atoms whose energies are the E0s."""


class Keys(BaseModel):
    """Under which names a file holds its labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    energy: str = "REF_energy"
    """Total energy, eV; every structure needs it."""
    forces: str | None = "REF_forces"
    """Forces, eV/A; structures without them train on their energy alone; null: forces are ignored.
    """
    stress: str | None = "REF_stress"
    """Stress, eV/A^3, six numbers xx yy zz yz xz xy or nine, ASE's sign; optional; null: stresses
    are ignored.
    """
    head: str | None = "head"
    """The head a structure says it belongs to; null: whatever it says is ignored."""


@dataclass(frozen=True)
class LabelledStructure:
    """A structure and what one level of theory says about it."""

    atoms: Atoms
    """Without calculator and labels; its `info` holds the charge and spin, where the file names
    them.
    """
    energy: float
    """Total energy, eV."""
    forces: np.ndarray | None = None
    """`[n, 3]`, eV/A; None where not labelled."""
    stress: np.ndarray | None = None
    """`[3, 3]`, eV/A^3, ASE's sign; None where not labelled."""
    head: str | None = None
    """The head that the file names; None where it names none."""
    config_type: str = "unknown"

    @property
    def is_isolated_atom(self) -> bool:
        """Whether this is a reference atom, not a structure to train on."""
        return self.config_type == ISOLATED_ATOM and len(self.atoms) == 1


def read_structures(path: str | Path, keys: Keys | None = None) -> list[LabelledStructure]:
    """All frames of a file with their labels.

    Raises MHFFError for a missing or unreadable file, no frames, no energy under the key (the
    sentence says which keys exist), and labels of the wrong shape or not finite.
    """
    keys = keys or Keys()
    if not Path(path).is_file():
        raise MHFFError(f"no file '{path}': expected structures in extended XYZ; check the path")
    try:
        frames = ase.io.read(path, ":")
    except Exception as error:  # ASE's readers raise whatever the parser meets
        raise MHFFError(
            f"cannot read structures from '{path}' ({error}); expected extended XYZ or another "
            "format of ASE"
        ) from error
    if not frames:
        raise MHFFError(f"'{path}' holds no structures; expected at least one")
    return [
        _labelled(frame, keys, f"structure {number} of '{path}'")
        for number, frame in enumerate(frames, start=1)
    ]


def _labelled(frame: Atoms, keys: Keys, where: str) -> LabelledStructure:
    """One frame; `where` is for error messages."""
    labels = _labels(frame)
    if keys.energy not in labels:
        raise MHFFError(
            f"no energy under '{keys.energy}' in {where}, which has {listing(sorted(labels))}; set "
            "the head's keys.energy"
        )
    energy = _array(labels, keys.energy, [()], where)
    forces = _optional(labels, keys.forces, [(len(frame), 3)], where)
    stress = _optional(labels, keys.stress, [(6,), (9,), (3, 3)], where)
    if stress is not None and frame.cell.rank < 3:
        raise MHFFError(
            f"{where} has a stress under '{keys.stress}' but no cell of three lattice vectors; "
            "leave one out"
        )
    head = labels.get(keys.head) if keys.head else None
    return LabelledStructure(
        atoms=Atoms(
            frame.numbers,
            frame.positions,
            cell=frame.cell,
            pbc=frame.pbc,
            info={key: frame.info[key] for key in (CHARGE_KEY, SPIN_KEY) if key in frame.info},
        ),
        energy=float(energy),
        forces=forces,
        stress=None if stress is None else _full_stress(stress),
        head=None if head is None else str(head),
        config_type=str(frame.info.get("config_type", "unknown")),
    )


def _labels(frame: Atoms) -> dict[str, Any]:
    """Everything that a frame carries; ASE moves the plain keys `energy`, `forces`, `stress` to a
    calculator.
    """
    arrays = {
        name: value for name, value in frame.arrays.items() if name not in ("numbers", "positions")
    }
    return {**(frame.calc.results if frame.calc else {}), **frame.info, **arrays}


def _optional(
    labels: dict[str, Any], key: str | None, shapes: Sequence[tuple[int, ...]], where: str
) -> np.ndarray | None:
    return _array(labels, key, shapes, where) if key is not None and key in labels else None


def _array(
    labels: dict[str, Any], key: str, shapes: Sequence[tuple[int, ...]], where: str
) -> np.ndarray:
    try:
        value = np.asarray(labels[key], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MHFFError(
            f"expected numbers under '{key}' in {where}, got {labels[key]!r}; check the file"
        ) from error
    if value.shape not in shapes:
        expected = " or ".join(str(list(shape)) for shape in shapes)
        raise MHFFError(
            f"expected the shape {expected} under '{key}' in {where}, got {list(value.shape)}; "
            "check the file or the keys"
        )
    if not np.isfinite(value).all():
        raise MHFFError(
            f"expected finite numbers under '{key}' in {where}, got NaN or infinity; leave the "
            "structure out"
        )
    return value


def _full_stress(stress: np.ndarray) -> np.ndarray:
    full: np.ndarray = (
        voigt_6_to_full_3x3_stress(stress) if stress.shape == (6,) else stress.reshape(3, 3)
    )
    return full
