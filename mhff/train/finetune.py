"""The start of a fine-tuning run: heads that go on, new ones that begin as old ones, replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mhff.data.reading import LabelledStructure
from mhff.data.reference import reestimated, reference_energies
from mhff.data.statistics import elements_of
from mhff.errors import MHFFError, listing
from mhff.heads import E0sKind, Head
from mhff.train.frozen import freeze
from mhff.train.headdata import HeadData, Statistics
from mhff.train.inheritance import inherited_heads
from mhff.train.lora import add_low_rank_changes
from mhff.train.predictor import Predictor
from mhff.train.prepare import (
    Preparation,
    Structures,
    describe,
    read_head,
    samples_of,
    set_statistics,
)
from mhff.train.replay import read_replay
from mhff.train.sections.heads import HeadSettings
from mhff.train.settings import Settings
from mhff.train.start import Start


def prepare_fine_tuning(settings: Settings, start: Start) -> Preparation:
    """Data and a network that begins as the start model; raises MHFFError for what cannot be."""
    sources = inherited_heads(settings, start.heads.names)
    predictor = Predictor(start.model, settings.run)
    heads = [
        read_head(name, settings, Beginning(start, predictor, name, sources[name], head).statistics)
        for name, head in settings.heads.items()
    ]
    chemistry = elements_of([item for head in heads for item in head.structures])
    heads += [read_replay(name, settings, start, predictor, chemistry) for name in settings.replay]
    dtype = settings.run.precision.dtype
    network = start.network_with_heads(sources).to(dtype=dtype)
    for head in heads:
        if head.name not in start.heads.names:
            set_statistics(network, head)
    freeze(network, settings.freeze)
    if settings.lora is not None:
        add_low_rank_changes(network, settings.lora, settings.run.seed)
    samples = samples_of(heads, network.config, settings, dtype)
    records = tuple(_record(name, heads, settings, start) for name in sources)
    return Preparation(heads, records, samples, network, at_risk(sources, heads))


@dataclass(frozen=True)
class Beginning:
    """How a head in the section `heads` begins."""

    start: Start
    predictor: Predictor
    name: str
    source: str
    """The head of the start model that it goes on from; its own name if it is an old head."""
    settings: HeadSettings

    def statistics(self, structures: Structures, train: Structures) -> Statistics:
        """Statistics of an old head, which stay, or of a new one with these data."""
        self.start.check_elements(structures)
        inherited = self.start.statistics(self.source, elements_of(structures))
        return inherited if self.name == self.source else self._of_new(inherited, structures, train)

    def _of_new(
        self, inherited: Statistics, structures: Structures, train: Structures
    ) -> Statistics:
        """E0s as the settings say; the shift leaves no mean error of the training energies."""
        before = inherited.reference.energies
        labelled = [item for item in train if item.energy is not None]
        errors = self._errors(labelled)
        if self.settings.e0s == E0sKind.REESTIMATED:
            if not labelled:
                raise MHFFError("no training structure has an energy to re-estimate E0s with")
            return inherited._replace(reference=reestimated(before, labelled, errors))
        reference = reference_energies(self.settings.e0s, structures, train)
        changes = {element: reference.energies[element] - before[element] for element in before}
        offsets = errors - [_mean(changes, item) for item in labelled]
        shift = inherited.shift + (float(offsets.mean()) if labelled else 0.0)
        return Statistics(reference, inherited.scale, shift)

    def _errors(self, labelled: Structures) -> np.ndarray:
        """Energy label minus the start model's prediction, eV per atom."""
        if not labelled:
            return np.zeros(0)
        predicted = self.predictor.energies(labelled, self.source)
        labels = np.array([item.energy for item in labelled])
        return (labels - predicted) / [item.n_atoms for item in labelled]


def _mean(values: Mapping[str, float], structure: LabelledStructure) -> float:
    """Mean over the atoms of a structure."""
    return sum(values[e] * count for e, count in structure.composition) / structure.n_atoms


def _record(name: str, heads: Sequence[HeadData], settings: Settings, start: Start) -> Head:
    """A head as the model records it.

    An old head stays as it is, but for what the settings say of it and elements it learns.
    """
    data = next((head for head in heads if head.name == name), None)
    given = settings.heads.get(name)
    if name not in start.heads.names:
        if data is None or given is None:
            raise ValueError(f"the new head {name} has no data")
        return describe(data, given)
    old = start.heads[start.heads.index(name)]
    if data is None or given is None:
        return old
    said = given.model_dump(include=given.model_fields_set & set(Head.model_fields))
    learned = set(old.elements) | set(elements_of(data.parts["train"]))
    elements = tuple(each for each in start.model.elements if each in learned)
    return old.model_copy(update={**said, "elements": elements if old.elements else ()})


def at_risk(names: Iterable[str], heads: Sequence[HeadData]) -> tuple[str, ...]:
    """A sentence about heads without structures to train on, which may forget what they know."""
    trained = {head.name for head in heads if head.parts["train"]}
    alone = [name for name in names if name not in trained]
    if not alone:
        return ()
    return (
        f"naive fine-tuning for {listing(alone)}: nothing keeps these heads in place while the "
        "layers that they share with the others change, so their errors may grow; list structures "
        "of theirs in replay, or leave them out with keep_heads",
    )
