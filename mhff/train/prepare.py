"""From settings to what is trained: each head's data and statistics, the graphs, and the network to
start from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from ase.data import atomic_numbers

from mhff.data.batch import Batch, sample
from mhff.data.reading import LabelledStructure, read_structures
from mhff.data.split import PARTS, Part, split
from mhff.data.statistics import (
    check_E0s,
    elements_of,
    energy_shift,
    force_scale,
    isolated_energies,
)
from mhff.errors import MHFFError, listing
from mhff.files import sha256
from mhff.heads import Head
from mhff.model.config import ModelConfig
from mhff.model.mace import MACE
from mhff.state import check_state
from mhff.train.settings import HeadSettings, Settings


@dataclass(frozen=True)
class HeadData:
    """One head's structures, divided, and what they say about themselves."""

    name: str
    settings: HeadSettings
    E0s: dict[str, float]
    """Energies of isolated atoms, eV, by chemical symbol."""
    parts: dict[Part, list[LabelledStructure]]
    """Structures to train on, to validate with, to test with; no isolated atoms."""
    checksums: dict[str, str]
    """sha256 of each file's content, by file name."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements of all its structures."""
        return elements_of([structure for part in self.parts.values() for structure in part])

    def describe(self) -> Head:
        """The head as the model records it; its elements are those of the training structures."""
        return Head(
            name=self.name,
            level_of_theory=self.settings.level_of_theory,
            domain=self.settings.domain,
            elements=elements_of(self.parts["train"]),
            licence=self.settings.licence,
            citation=self.settings.citation,
        )


def read_head(name: str, settings: Settings) -> HeadData:
    """Read and divide a head's files.

    Raises MHFFError for what `read_structures` refuses, structures of another head, no structures
    to train on, and elements without an isolated atom.
    """
    head = settings.heads[name]
    names = [path.name for path in head.files]
    if len(set(names)) < len(names):
        raise MHFFError(
            f"head '{name}' lists two files of one name ({listing(names)}); rename one, a run "
            "tells them apart by name"
        )
    structures: list[LabelledStructure] = []
    for path in head.files:
        read = read_structures(path, head.keys)
        strange = sorted({item.head for item in read if item.head not in (None, name)}, key=str)
        if strange:
            raise MHFFError(
                f"'{path}' is listed under head '{name}' but has structures of head "
                f"{listing(strange)}; list it "
                f"under its own head (there are {listing(settings.heads)}), or set "
                f"heads.{name}.keys.head to null"
            )
        structures += read
    E0s = isolated_energies(structures)
    check_E0s(name, E0s, elements_of(structures))
    parts = split(
        (item for item in structures if not item.is_isolated_atom),
        settings.data.valid,
        settings.data.test,
    )
    if not parts["train"]:
        raise MHFFError(
            f"head '{name}' has no structures to train on in {listing(head.files)}; add some that "
            "are not isolated atoms"
        )
    checksums = {path.name: sha256(path.read_bytes()) for path in head.files}
    return HeadData(name, head, E0s, parts, checksums)


def all_elements(heads: Sequence[HeadData], settings: Settings) -> tuple[str, ...]:
    """The model's elements: those of the settings, or those of the data.

    Raises MHFFError where the settings leave out an element of the data.
    """
    found = sorted(
        {element for head in heads for element in head.elements},
        key=lambda symbol: atomic_numbers[symbol],
    )
    chosen = settings.model.get("elements", found)
    missing = [element for element in found if element not in chosen]
    if missing:
        raise MHFFError(
            f"model.elements lacks {listing(missing)}, which the data have; add them or leave "
            "model.elements out"
        )
    return tuple(chosen)


def make_samples(
    heads: Sequence[HeadData], config: ModelConfig, dtype: torch.dtype
) -> dict[Part, list[Batch]]:
    """Graphs and labels of every part, head after head, floats in `dtype`.

    Raises MHFFError for a charge or spin that the architecture does not know.
    """
    samples: dict[Part, list[Batch]] = {
        part: [
            sample(structure, config.elements, config.r_max, column, head.settings.weight).to(
                "cpu", dtype
            )
            for column, head in enumerate(heads)
            for structure in head.parts[part]
        ]
        for part in PARTS
    }
    for item in (item for part in samples.values() for item in part):
        check_state(item.graph.state, config.state_embeddings)
    return samples


def mean_neighbours(samples: Sequence[Batch]) -> float:
    """Edges per atom; 1 where there is no edge at all."""
    edges = sum(item.graph.edge_index.shape[1] for item in samples)
    return edges / sum(item.graph.n_local for item in samples) or 1.0


def initial_network(
    settings: Settings, heads: Sequence[HeadData], elements: Sequence[str], avg_num_neighbors: float
) -> MACE:
    """A network with random weights from the seed, and each head's E0s, scale and shift from its
    training structures.

    A head's E0 is 0 for an element of which it has no isolated atom (and so no structure).
    """
    network = MACE(settings.architecture(elements, avg_num_neighbors), seed=settings.run.seed)
    reference = network.reference_energies
    for column, head in enumerate(heads):
        train = head.parts["train"]
        reference.E0s[column] = torch.tensor(
            [head.E0s.get(element, 0.0) for element in elements], dtype=torch.float64
        )
        reference.scale[column], reference.shift[column] = (
            force_scale(train),
            energy_shift(train, head.E0s),
        )
    return network
