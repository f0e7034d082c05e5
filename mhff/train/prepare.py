"""The start of a training run: each head's data and statistics, the graphs and the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from ase.data import atomic_numbers

from mhff.data.batch import Batch, sample
from mhff.data.reading import LabelledStructure
from mhff.data.reference import reference_energies
from mhff.data.split import PARTS, Part
from mhff.data.statistics import elements_of, energy_shift, first_with, force_scale
from mhff.data.streaming import inspect, make_samples
from mhff.errors import MHFFError, listing, located
from mhff.heads import Head
from mhff.model.config import ModelConfig
from mhff.model.mace import MACE
from mhff.train.headdata import HeadData, Statistics, checksums, divide, read_source
from mhff.train.sections.heads import HeadSettings
from mhff.train.sections.loss import LossSettings
from mhff.train.selection import judge
from mhff.train.settings import Settings
from mhff.train.weights import weights_of

Structures = Sequence[LabelledStructure]
FindStatistics = Callable[[Structures, Structures], Statistics]
"""Statistics of all structures of a head, isolated atoms included, and of those to train on."""


class Preparation(NamedTuple):
    """What a run has before its first step."""

    heads: list[HeadData]
    """The heads that have data."""
    records: tuple[Head, ...]
    """All heads, in the order of their columns, as the model records them."""
    samples: dict[Part, Sequence[Batch]]
    network: MACE
    notes: tuple[str, ...] = ()
    """Sentences for the user."""


def prepare_from_scratch(settings: Settings) -> Preparation:
    """Data and a network with random weights; raises MHFFError if either is impossible."""
    heads = [
        read_head(name, settings, partial(statistics, head))
        for name, head in settings.heads.items()
    ]
    dtype = settings.run.precision.dtype
    config = settings.architecture(all_elements(heads, settings))
    samples = samples_of(heads, config, settings, dtype)
    if settings.neighbours_follow_from_data:
        neighbours = mean_neighbours(samples["train"])
        config = config.model_copy(update={"avg_num_neighbors": neighbours})
    network = MACE(config, seed=settings.run.seed)
    for head in heads:
        set_statistics(network, head)
    records = tuple(describe(head, settings.heads[head.name]) for head in heads)
    return Preparation(heads, records, samples, network.to(dtype=dtype))


def describe(data: HeadData, settings: HeadSettings) -> Head:
    """The head as the model records it; its elements are those of the training structures."""
    return Head(
        name=data.name,
        level_of_theory=settings.level_of_theory,
        dispersion=settings.dispersion,
        domain=settings.domain,
        elements=elements_of(data.parts["train"]),
        e0s_kind=data.statistics.reference.kind,
        licence=settings.licence,
        citation=settings.citation,
    )


def statistics(settings: HeadSettings, structures: Structures, train: Structures) -> Statistics:
    """E0s, scale and shift of a head's data; raises MHFFError for an element without E0."""
    reference = reference_energies(settings.e0s, structures, train)
    return Statistics(reference, force_scale(train), energy_shift(train, reference.energies))


def read_head(name: str, settings: Settings, find_statistics: FindStatistics) -> HeadData:
    """Read and divide the files of a head in the section `heads`.

    Raises MHFFError for what `read_source` refuses, no structures to train on, and elements without
    E0.
    """
    head = settings.heads[name]
    place = f"heads.{name}"
    structures, notes = read_source(name, head, place, settings)
    parts = divide(structures, settings)
    if not parts["train"]:
        raise MHFFError(
            f"head '{name}' has no structures to train on in {listing(head.files)}; add some that "
            "are not isolated atoms, or widen the filter"
        )
    with located(f"head '{name}'"):
        found = find_statistics(structures, parts["train"])
        used, sentences = judge(structures, found.reference.energies, settings)
        if len(used) < len(structures):
            parts = divide(used, settings)
            if not parts["train"]:
                raise MHFFError("all structures to train on are suspicious; check labels and E0s")
            found = find_statistics(used, parts["train"])
    return HeadData(name, head, found, parts, checksums(head), place, (*notes, *sentences))


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


def samples_of(
    heads: Sequence[HeadData], config: ModelConfig, settings: Settings, dtype: torch.dtype
) -> dict[Part, Sequence[Batch]]:
    """Graphs and labels of every part, head after head, floats in `dtype`.

    Raises MHFFError, naming file and structure, for geometries, charges and spins that a model of
    this architecture cannot take.
    """
    makers = [SampleMaker(head, config, settings.loss, dtype) for head in heads]
    return {
        part: make_samples(
            [(head.parts[part], maker) for head, maker in zip(heads, makers, strict=True)],
            settings.data.n_workers,
        )
        for part in PARTS
    }


class SampleMaker:
    """Makes the samples of a head; may be sent to another process."""

    def __init__(
        self, head: HeadData, config: ModelConfig, loss: LossSettings, dtype: torch.dtype
    ) -> None:
        self.column = config.heads.index(head.name)
        self.source = head.settings
        self.config = config
        self.loss = loss
        self.dtype = dtype

    def __call__(self, structure: LabelledStructure) -> Batch:
        """The sample of a structure."""
        weights = weights_of(structure, self.source, self.loss)
        return sample(structure, self.config, self.column, weights).to("cpu", self.dtype)


def mean_neighbours(samples: Sequence[Batch]) -> float:
    """Edges per atom; 1 if there are no edges."""
    n_atoms, n_edges, _ = inspect(samples).sum(axis=0)
    return float(n_edges / n_atoms) or 1.0


def set_statistics(network: MACE, head: HeadData) -> None:
    """Give a network the E0s, scale and shift of a head's data.

    The E0s of elements that none of the structures has stay as they are, unless they are given.
    """
    elements = network.config.elements
    column = network.config.heads.index(head.name)
    reference = network.reference_energies
    for element, energy in head.statistics.reference.energies.items():
        if element in elements:
            reference.E0s[column, elements.index(element)] = energy
    reference.scale[column] = head.statistics.scale
    reference.shift[column] = head.statistics.shift
