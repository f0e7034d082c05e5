"""Labelled structures from extended XYZ and other files that ASE reads, in eV, eV/A and eV/A^3."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.stress import voigt_6_to_full_3x3_stress

from mhff.data.frames import open_frames
from mhff.data.identity import fraction
from mhff.data.keys import DEFAULT_SETTING, Keys, KeySetting
from mhff.data.labels import Labels
from mhff.data.weights import Weights, own_weights
from mhff.errors import MHFFError, listing, printable, shortened
from mhff.state import CHARGE_KEY, SPIN_KEY

ISOLATED_ATOM = "IsolatedAtom"
"""`config_type` of the single atoms whose energies are the E0s."""
LABELS = ("energy", "forces", "stress", "virials", "charge", "spin")
STRESS_AGREEMENT = 1e-3
"""Tolerance on stress against virials of one structure, relative and in eV/A^3."""
STATE_LABELS = {"charge": CHARGE_KEY, "spin": SPIN_KEY}
"""Entries of `atoms.info` that hold the state, by label."""

Composition = tuple[tuple[str, int], ...]
State = tuple[tuple[str, float], ...]


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
    weights: Weights = Weights()
    """Factors of its weights in the loss, from the file."""

    @property
    def is_labelled(self) -> bool:
        """Whether there is anything to learn from it."""
        return self.energy is not None or self.largest_force is not None or self.has_stress

    @property
    def is_isolated_atom(self) -> bool:
        """Whether this is a reference atom, not a structure to train on."""
        return self.config_type == ISOLATED_ATOM and self.n_atoms == 1

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.atoms)

    @cached_property
    def composition(self) -> Composition:
        """Chemical symbols and the number of atoms of each."""
        numbers, counts = np.unique(self.atoms.numbers, return_counts=True)
        return tuple(
            (chemical_symbols[number], count)
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        )

    @property
    def elements(self) -> frozenset[str]:
        """Chemical symbols."""
        return frozenset(symbol for symbol, _ in self.composition)

    @property
    def state(self) -> State:
        """Charge and spin, as far as the file has them, by their keys in `atoms.info`."""
        return tuple(self.atoms.info.items())

    @cached_property
    def largest_force(self) -> float | None:
        """Length of the largest force on an atom, eV/A; None if forces are not labelled."""
        if self.forces is None:
            return None
        return float(np.linalg.norm(self.forces, axis=1).max())

    @property
    def squared_forces(self) -> float | None:
        """Sum of the squared force components, eV^2/A^2; None if forces are not labelled."""
        return None if self.forces is None else float((self.forces**2).sum())

    @property
    def has_stress(self) -> bool:
        """Whether the stress is labelled."""
        return self.stress is not None

    @property
    def fraction(self) -> float:
        """Its place in the split: see `mhff.data.identity`."""
        return 0.0 if self.not_finite else fraction(self.atoms)

    def load(self) -> LabelledStructure:
        """The structure with everything in memory."""
        return self


def read_structures(
    path: str | Path, keys: Keys | None = None, setting: KeySetting = DEFAULT_SETTING
) -> list[LabelledStructure]:
    """All frames of a file with their labels; see `open_frames` and `label_frames`.

    Raises one MHFFError for all structures that hold NaN or infinity.
    """
    structures = label_frames(open_frames(path), keys or Keys(), setting, path)
    refuse_not_finite(structures, "leave them out")
    return structures


def label_frames(
    frames: Iterable[Atoms], keys: Keys, setting: KeySetting, path: str | Path
) -> list[LabelledStructure]:
    """Structures and labels of the frames of a file.

    Raises MHFFError, naming file and structure, for structures without atoms or elements, and for
    labels under another name or of the wrong shape. NaN and infinity are recorded in `not_finite`.
    """
    return [
        label_frame(frame, keys, setting, place(path, index)) for index, frame in enumerate(frames)
    ]


def place(path: str | Path, index: int) -> str:
    """A structure in words; `index` counts from 0."""
    return f"structure {index + 1} of '{path}'"


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


def label_frame(frame: Atoms, keys: Keys, setting: KeySetting, place: str) -> LabelledStructure:
    """Structure and labels of one frame; see `label_frames`."""
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
        config_type=printable(str(labels.values.get("config_type", "unknown"))),
        place=place,
        found=frozenset(found),
        unread=tuple(map(printable, labels.similar("charge") + labels.similar("spin"))),
        not_finite=not_finite,
        weights=own_weights(labels.values, place),
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
