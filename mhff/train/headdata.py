"""The data of one head: its structures, divided into parts, and the statistics that scale it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mhff.data.frames import open_frames
from mhff.data.keys import Keys, KeySetting
from mhff.data.notes import unread_labels, unused_state, weighted
from mhff.data.reading import LabelledStructure, check_found, label_frames
from mhff.data.reference import ReferenceEnergies
from mhff.data.sources import find_files, identities
from mhff.data.split import PARTS, Part, split
from mhff.data.statistics import elements_of
from mhff.data.stored import read_stored
from mhff.errors import MHFFError, listing, located
from mhff.files import sha256_of_file
from mhff.model.config import ModelConfig
from mhff.train.sections.heads import SourceSettings
from mhff.train.selection import select
from mhff.train.settings import Settings
from mhff.train.weights import check_config_types


class Statistics(NamedTuple):
    """What a head adds to its readout: energy = E0s + scale * readout + shift for each atom."""

    reference: ReferenceEnergies
    scale: float
    """eV/A, of the forces; the unit of the readout is then A."""
    shift: float
    """eV per atom."""


@dataclass(frozen=True)
class HeadData:
    """One head's structures, divided into parts, and its statistics."""

    name: str
    settings: SourceSettings
    statistics: Statistics
    parts: dict[Part, list[LabelledStructure]]
    """Structures for training, validation and test, without isolated atoms."""
    checksums: dict[str, str]
    """sha256 of each file's content, by its name in `identities`."""
    place: str
    """Its section in the settings."""
    notes: tuple[str, ...] = ()
    """Sentences about structures that are left out or have suspicious labels."""

    @property
    def structures(self) -> list[LabelledStructure]:
        """The structures of all parts."""
        return [structure for part in PARTS for structure in self.parts[part]]

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements of all its structures."""
        return elements_of(self.structures)

    def summary(self, config: ModelConfig) -> list[str]:
        """Lines for the user: how many structures and labels there are, and which are not used."""
        parts = listing(f"{len(self.parts[part])} {part}" for part in PARTS)
        labels = {
            "energies": sum(item.energy is not None for item in self.structures),
            "forces": sum(item.largest_force is not None for item in self.structures),
            "stress": sum(item.has_stress for item in self.structures),
        }
        counts = listing(f"{count} with {label}" for label, count in labels.items())
        notes = [
            *self.notes,
            *unread_labels(self.structures, key_setting(self.place)),
            *unused_state(self.structures, config.state_embeddings),
            *weighted(self.structures),
        ]
        return [
            f"head {self.name}: {len(self.structures)} structures ({parts}), {counts}",
            *(f"head {self.name}: {line}" for line in self.statistics.reference.describe()),
            *(f"head {self.name}: {note}" for note in notes),
        ]


def with_files(settings: Settings) -> Settings:
    """The settings with the files that folders and patterns stand for.

    Raises one MHFFError for all files of all heads that do not exist.
    """
    problems: list[str] = []
    changes = {
        section: _with_files_of(section, sources, problems)
        for section, sources in (("heads", settings.heads), ("replay", settings.replay))
    }
    if problems:
        raise MHFFError("\n  ".join(problems))
    return settings.model_copy(update=changes)


def _with_files_of(
    section: str, sources: Mapping[str, SourceSettings], problems: list[str]
) -> dict[str, SourceSettings]:
    """The settings of a section with all files; adds a sentence to `problems` for each mistake."""
    found = {}
    for name, source in sources.items():
        try:
            with located(f"{section}.{name}.files"):
                found[name] = source.model_copy(update={"files": find_files(source.files)})
        except MHFFError as error:
            problems.append(str(error))
    return found


def read_source(
    name: str, source: SourceSettings, place: str, settings: Settings
) -> tuple[list[LabelledStructure], list[str]]:
    """The structures that a head's filter accepts, isolated atoms included, and notes.

    `place` is the section of `source`. Raises MHFFError for what `label_frames` and `select`
    refuse, structures of another head and, if they are used, labels that no structure has.
    """
    setting = key_setting(place)
    read_file = _reader(source.read_keys, setting, settings)
    structures: list[LabelledStructure] = []
    for path in source.files:
        read = read_file(path)
        _check_heads(read, name, place, settings.sources)
        structures += read
    with located(f"head '{name}'"):
        if source.needs_labels:
            wanted = sorted({"energy", "forces", *source.keys.chosen})
            check_found(structures, wanted, source.keys, setting)
        check_config_types(structures, source)
        return select(structures, source, settings.data)


def _reader(
    keys: Keys, setting: KeySetting, settings: Settings
) -> Callable[[Path], Sequence[LabelledStructure]]:
    """Reads the structures of a file: to memory, or to stay there if the run's files are large."""
    if settings.data.streams(path for each in settings.sources.values() for path in each.files):
        n_workers = settings.data.n_workers
        return lambda path: read_stored(path, keys, setting, n_workers)
    return lambda path: label_frames(open_frames(path), keys, setting, path)


def divide(
    structures: Iterable[LabelledStructure], settings: Settings
) -> dict[Part, list[LabelledStructure]]:
    """The parts, without isolated atoms."""
    return split(
        (item for item in structures if not item.is_isolated_atom),
        settings.data.valid,
        settings.data.test,
    )


def checksums(source: SourceSettings) -> dict[str, str]:
    """sha256 of each file's content, by its name in `identities`."""
    files = identities(source.files)
    return {identity: sha256_of_file(path) for identity, path in files.items()}


def key_setting(place: str) -> KeySetting:
    """The setting of a label's name in a section."""
    return KeySetting(f"{place}.keys.{{}}", "null")


def _check_heads(
    structures: Sequence[LabelledStructure], head: str, place: str, heads: Iterable[str]
) -> None:
    """Raise MHFFError for structures whose label says they belong to another head."""
    strange = [item for item in structures if item.head not in (None, head)]
    if strange:
        raise MHFFError(
            f"{strange[0].place} belongs to head '{strange[0].head}', but the file is listed under "
            f"head '{head}'; list it under its own head (there are {listing(heads)}), or set "
            f"{place}.keys.head to null"
        )
