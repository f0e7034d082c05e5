"""The start of a training run: each head's data and statistics, the graphs and the network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from ase.data import atomic_numbers

from mhff.data.batch import Batch, sample
from mhff.data.keys import KeySetting
from mhff.data.notes import unread_labels, unused_state
from mhff.data.reading import LabelledStructure, check_found, read_structures
from mhff.data.reference import ReferenceEnergies, reference_energies
from mhff.data.sources import find_files, identities
from mhff.data.split import PARTS, Part, split
from mhff.data.statistics import (
    elements_of,
    energy_shift,
    first_with,
    force_scale,
)
from mhff.errors import MHFFError, listing, located
from mhff.files import read_file, sha256
from mhff.heads import Head
from mhff.model.config import ModelConfig
from mhff.model.mace import MACE
from mhff.train.sections.heads import HeadSettings, SourceSettings
from mhff.train.selection import judge, select
from mhff.train.settings import Settings


@dataclass(frozen=True)
class HeadData:
    """One head's structures, divided into parts, and its reference energies."""

    name: str
    settings: HeadSettings
    reference: ReferenceEnergies
    parts: dict[Part, list[LabelledStructure]]
    """Structures for training, validation and test, without isolated atoms."""
    checksums: dict[str, str]
    """sha256 of each file's content, by its name in `identities`."""
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
        forces = sum(item.forces is not None for item in self.structures)
        stress = sum(item.stress is not None for item in self.structures)
        notes = [
            *self.notes,
            *unread_labels(self.structures, _key_setting(self.name)),
            *unused_state(self.structures, config.state_embeddings),
        ]
        return [
            f"head {self.name}: {len(self.structures)} structures ({parts}), {forces} with forces, "
            f"{stress} with stress",
            *(f"head {self.name}: {line}" for line in self.reference.describe()),
            *(f"head {self.name}: {note}" for note in notes),
        ]

    def describe(self) -> Head:
        """The head as the model records it; its elements are those of the training structures."""
        return Head(
            name=self.name,
            level_of_theory=self.settings.level_of_theory,
            dispersion=self.settings.dispersion,
            domain=self.settings.domain,
            elements=elements_of(self.parts["train"]),
            e0s_kind=self.reference.kind,
            licence=self.settings.licence,
            citation=self.settings.citation,
        )


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


def read_head(name: str, settings: Settings) -> HeadData:
    """Read and divide a head's files.

    Raises MHFFError for what `read_structures` refuses, labels that no structure has, structures of
    another head, no structures to train on, and elements without E0.
    """
    head = settings.heads[name]
    setting = _key_setting(name)
    structures: list[LabelledStructure] = []
    for path in head.files:
        read = read_structures(path, head.keys, setting)
        _check_heads(read, name, settings)
        structures += read
    with located(f"head '{name}'"):
        check_found(structures, sorted({"forces", *head.keys.chosen}), head.keys, setting)
    structures, notes = select(structures, head)
    parts = _divided(structures, settings)
    if not parts["train"]:
        raise MHFFError(
            f"head '{name}' has no structures to train on in {listing(head.files)}; add some that "
            "are not isolated atoms, or widen the filter"
        )
    with located(f"head '{name}'"):
        reference = reference_energies(head.e0s, structures, parts["train"])
        structures, found = judge(structures, reference.energies, settings)
        notes += found
        parts = _divided(structures, settings)
        if not parts["train"]:
            raise MHFFError("all structures to train on are suspicious; check labels and E0s")
        reference = reference_energies(head.e0s, structures, parts["train"])
    checksums = {
        identity: sha256(read_file(path)) for identity, path in identities(head.files).items()
    }
    return HeadData(name, head, reference, parts, checksums, tuple(notes))


def _divided(
    structures: Iterable[LabelledStructure], settings: Settings
) -> dict[Part, list[LabelledStructure]]:
    """The parts, without isolated atoms."""
    return split(
        (item for item in structures if not item.is_isolated_atom),
        settings.data.valid,
        settings.data.test,
    )


def _key_setting(head: str) -> KeySetting:
    return KeySetting(f"heads.{head}.keys.{{}}", "null")


def _check_heads(structures: Sequence[LabelledStructure], head: str, settings: Settings) -> None:
    """Raise MHFFError for structures whose label says they belong to another head."""
    strange = [item for item in structures if item.head not in (None, head)]
    if strange:
        raise MHFFError(
            f"{strange[0].place} belongs to head '{strange[0].head}', but the file is listed under "
            f"head '{head}'; list it under its own head (there are {listing(settings.heads)}), or "
            f"set heads.{head}.keys.head to null"
        )


def all_elements(heads: Sequence[HeadData], settings: Settings) -> tuple[str, ...]:
    """The model's elements: those of the settings, else those of the data.

    Raises MHFFError if the settings leave out an element of the data.
    """
    found = sorted(
        {element for head in heads for element in head.elements},
        key=lambda symbol: atomic_numbers[symbol],
    )
    chosen = settings.model.get("elements", found)
    missing = [element for element in found if element not in chosen]
    if missing:
        structures = [structure for head in heads for structure in head.structures]
        raise MHFFError(
            f"model.elements lacks {listing(missing)}, which the data have "
            f"({first_with(missing[0], structures)}, for example); add them, or remove the setting"
        )
    return tuple(chosen)


def make_samples(
    heads: Sequence[HeadData], config: ModelConfig, dtype: torch.dtype
) -> dict[Part, list[Batch]]:
    """Graphs and labels of every part, head after head, floats in `dtype`.

    Raises MHFFError, naming file and structure, for geometries, charges and spins that a model of
    this architecture cannot take.
    """
    return {
        part: [
            sample(structure, config, column, head.settings.weight).to("cpu", dtype)
            for column, head in enumerate(heads)
            for structure in head.parts[part]
        ]
        for part in PARTS
    }


def mean_neighbours(samples: Sequence[Batch]) -> float:
    """Edges per atom; 1 if there are no edges."""
    edges = sum(item.graph.edge_index.shape[1] for item in samples)
    return edges / sum(item.graph.n_local for item in samples) or 1.0


def initial_network(config: ModelConfig, heads: Sequence[HeadData], seed: int) -> MACE:
    """A network with random weights, and with E0s, scale and shift of each head's data.

    A head's E0 is 0 for an element that none of its structures has, unless it is given.
    """
    network = MACE(config, seed=seed)
    reference = network.reference_energies
    for column, head in enumerate(heads):
        train = head.parts["train"]
        energies = head.reference.energies
        E0s = [energies.get(element, 0.0) for element in config.elements]
        reference.E0s[column] = torch.tensor(E0s, dtype=torch.float64)
        reference.scale[column] = force_scale(train)
        reference.shift[column] = energy_shift(train, energies)
    return network
