"""Labelled structures from extended XYZ and other files that ASE reads, in eV, eV/A and eV/A^3."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.io.formats import filetype
from ase.stress import voigt_6_to_full_3x3_stress

from mhff.data.keys import DEFAULT_SETTING, Keys, KeySetting
from mhff.data.labels import Labels
from mhff.errors import MHFFError, listing, shortened
from mhff.state import CHARGE_KEY, SPIN_KEY

LMDB_SUFFIX = ".aselmdb"
DATABASES = ("db", "json")
"""Formats of ASE's databases."""
ISOLATED_ATOM = "IsolatedAtom"
"""`config_type` of the single atoms whose energies are the E0s."""
LABELS = ("energy", "forces", "stress", "virials", "charge", "spin")
STRESS_AGREEMENT = 1e-3
"""Tolerance on stress against virials of one structure, relative and in eV/A^3."""
STATE_LABELS = {"charge": CHARGE_KEY, "spin": SPIN_KEY}
"""Entries of `atoms.info` that hold the state, by label."""


@dataclass(frozen=True)
class LabelledStructure:
    """A structure with its labels at one level of theory."""

    atoms: Atoms
    """Without calculator and labels; `info` holds the charge and spin if the file has them."""
    energy: float | None = None
    """Total energy, eV; None if not labelled."""
    forces: np.ndarray | None = None
    """`[n, 3]`, eV/A; None if not labelled."""
    stress: np.ndarray | None = None
    """`[3, 3]`, eV/A^3, ASE's sign; None if not labelled."""
    head: str | None = None
    """The head that the file names; None if it names none."""
    config_type: str = "unknown"
    place: str = "the structure"
    """Number and file, for error messages."""
    found: frozenset[str] = frozenset()
    """Labels that the file has for it, by the names of their keys."""
    unread: tuple[str, ...] = ()
    """Names of entries that look like a charge or spin but are not read as one."""
    not_finite: tuple[str, ...] = ()
    """Names of labels, or positions or cell, that hold NaN or infinity: not to be used."""

    @property
    def is_labelled(self) -> bool:
        """Whether there is anything to learn from it."""
        return any(each is not None for each in (self.energy, self.forces, self.stress))

    @property
    def is_isolated_atom(self) -> bool:
        """Whether this is a reference atom, not a structure to train on."""
        return self.config_type == ISOLATED_ATOM and len(self.atoms) == 1


def read_structures(
    path: str | Path, keys: Keys | None = None, setting: KeySetting = DEFAULT_SETTING
) -> list[LabelledStructure]:
    """All frames of a file with their labels; see `read_frames` and `label_frames`.

    Raises one MHFFError for all structures that hold NaN or infinity.
    """
    structures = label_frames(read_frames(path), keys or Keys(), setting, path)
    refuse_not_finite(structures, "leave them out")
    return structures


def read_frames(path: str | Path) -> list[Atoms]:
    """All frames of a file; raises MHFFError for a missing, unreadable or empty file."""
    if not Path(path).is_file():
        raise MHFFError(f"no file '{path}': expected structures in extended XYZ; check the path")
    try:
        frames = _frames(Path(path))
    except MHFFError:
        raise
    except Exception as error:  # ASE's readers may raise any exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MHFFError(
            f"cannot read structures from '{path}' ({reason}); expected extended XYZ or another "
            "format that ASE reads"
        ) from error
    if not frames:
        raise MHFFError(f"'{path}' holds no structures; expected at least one")
    return frames


def _frames(path: Path) -> list[Atoms]:
    if path.suffix == LMDB_SUFFIX:
        return _rows(_lmdb(path))
    kind = filetype(str(path))
    if kind in DATABASES:  # ase.io.read leaves out what users add to a row
        return _rows(ase.db.connect(path, type=kind, serial=True))
    return list(ase.io.iread(str(path), ":", do_not_split_by_at_sign=True))


def _rows(database: Any) -> list[Atoms]:
    with database:
        return [row.toatoms(add_additional_information=True) for row in database.select()]


def _lmdb(path: Path) -> Any:
    """A database in LMDB, the format of OMat24, OMol25 and OC20, which ASE reads with a plug-in."""
    try:
        return ase.db.connect(path, type="aselmdb", readonly=True, use_lock_file=False)
    except ModuleNotFoundError as error:
        raise MHFFError(
            f"'{path}' needs {error.name}, which is not installed; get it with pip install "
            "'mhff[aselmdb]'"
        ) from error


def label_frames(
    frames: Sequence[Atoms], keys: Keys, setting: KeySetting, path: str | Path
) -> list[LabelledStructure]:
    """Structures and labels of the frames of a file.

    Raises MHFFError, naming file and structure, for structures without atoms or elements, and for
    labels under another name or of the wrong shape. NaN and infinity are recorded in `not_finite`.
    """
    return [
        _labelled(frame, keys, setting, f"structure {number} of '{path}'")
        for number, frame in enumerate(frames, start=1)
    ]


def refuse_not_finite(structures: Iterable[LabelledStructure], advice: str) -> None:
    """Raise one MHFFError that lists all structures with NaN or infinity."""
    found = [describe_not_finite(item) for item in structures if item.not_finite]
    if found:
        raise MHFFError(
            f"{len(found)} structures have NaN or infinity: {shortened(found)}; {advice}"
        )


def describe_not_finite(structure: LabelledStructure) -> str:
    """The structure's place, and what is not finite."""
    return f"{structure.place} (NaN or infinity in {listing(structure.not_finite)})"


def check_found(
    structures: Sequence[LabelledStructure],
    labels: Collection[str],
    keys: Keys,
    setting: KeySetting,
) -> None:
    """Raise MHFFError for one of these labels that no structure has; null keys do not count."""
    structures = [item for item in structures if not item.is_isolated_atom]
    found = frozenset().union(*(item.found for item in structures))
    for label in labels:
        names = keys.names(label)
        if structures and names and label not in found:
            raise MHFFError(
                f"none of the {len(structures)} structures has {label} under "
                f"{' or '.join(map(repr, names))}; {setting.advice(label)}"
            )


def _labelled(frame: Atoms, keys: Keys, setting: KeySetting, place: str) -> LabelledStructure:
    """One frame."""
    _check_atoms(frame, place)
    labels = Labels(frame, keys, setting, place)
    values = {label: labels.find(label) for label in LABELS}
    energy = values["energy"]
    head = labels.text("head")
    everything = {"head": head, **values}
    found = {label for label, value in everything.items() if value is not None}
    not_finite = (*_not_finite_geometry(frame), *labels.not_finite)
    structure = LabelledStructure(
        atoms=_bare(frame, {label: values[label] for label in STATE_LABELS}),
        energy=None if energy is None else float(energy),
        forces=values["forces"],
        stress=None if not_finite else _stress(frame, values["stress"], values["virials"], place),
        head=head,
        config_type=str(labels.values.get("config_type", "unknown")),
        place=place,
        found=frozenset(found),
        unread=tuple(labels.similar("charge") + labels.similar("spin")),
        not_finite=not_finite,
    )
    if structure.energy is None:
        labels.refuse_other_names("energy")
    if structure.forces is None and not structure.is_isolated_atom:
        labels.refuse_other_names("forces")
    if structure.stress is None and not structure.is_isolated_atom:
        labels.refuse_other_names("stress", "virials")
    return structure


def _check_atoms(frame: Atoms, place: str) -> None:
    if len(frame) == 0:
        raise MHFFError(f"{place} has no atoms; remove it")
    if (frame.numbers < 1).any():
        raise MHFFError(f"{place} has atoms without an element (X); remove them")


def _not_finite_geometry(frame: Atoms) -> list[str]:
    """What is not finite of a frame's geometry."""
    geometry = {"positions": frame.positions, "the cell": frame.cell[:]}
    return [name for name, values in geometry.items() if not np.isfinite(values).all()]


def _bare(frame: Atoms, state: dict[str, np.ndarray | None]) -> Atoms:
    """The structure without labels, but with its charge and spin."""
    info = {
        STATE_LABELS[label]: float(value) for label, value in state.items() if value is not None
    }
    return Atoms(frame.numbers, frame.positions, cell=frame.cell, pbc=frame.pbc, info=info)


def _stress(
    frame: Atoms, stress: np.ndarray | None, virials: np.ndarray | None, place: str
) -> np.ndarray | None:
    """Stress `[3, 3]`, eV/A^3, of the labels: stress = -virials / volume, as in mace-torch."""
    if stress is None and virials is None:
        return None
    if frame.cell.rank < 3:
        raise MHFFError(
            f"{place} has a stress or virials but no cell of three lattice vectors; leave one out"
        )
    full = None if stress is None else _full(stress)
    if virials is None:
        return full
    derived: np.ndarray = -_full(virials) / frame.get_volume()
    if full is not None and not np.allclose(full, derived, STRESS_AGREEMENT, STRESS_AGREEMENT):
        raise MHFFError(
            f"{place} has a stress and virials that disagree (expected -virials / volume); "
            "ignore one of them"
        )
    return derived if full is None else full


def _full(values: np.ndarray) -> np.ndarray:
    """`[3, 3]` of six numbers xx yy zz yz xz xy, or of nine."""
    full: np.ndarray = (
        voigt_6_to_full_3x3_stress(values) if values.shape == (6,) else values.reshape(3, 3)
    )
    return full
