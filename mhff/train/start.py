"""The model that a run starts from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mhff.data.reading import LabelledStructure
from mhff.data.reference import ReferenceEnergies
from mhff.data.statistics import elements_of, first_with
from mhff.errors import MHFFError, listing, located
from mhff.files import read_file, sha256
from mhff.heads import Head, Heads
from mhff.model.mace import MACE
from mhff.model.transfer import weights_with_heads
from mhff.modelfile import Model, assemble, from_bytes, model_path
from mhff.train.headdata import Statistics


class Start:
    """A start model: its heads, their statistics, and copies of its weights."""

    def __init__(self, name: str) -> None:
        """`name`: a model file or a bundled model; raises MHFFError if it cannot be read."""
        with located("start_from"):
            self.path = model_path(name)
            content = read_file(self.path)
            self.model: Model = from_bytes(content, str(self.path))
        self.checksum = sha256(content)

    @property
    def heads(self) -> Heads:
        """Its heads."""
        return self.model.heads

    def lineage(self) -> list[dict[str, Any]]:
        """Provenance of the model and of those it came from, the latest first."""
        own = {"sha256": self.checksum, **self.model.provenance}
        ancestors = own.pop("ancestors", [])
        return [own, *(ancestors if isinstance(ancestors, list) else [])]

    def statistics(self, head: str, elements: Sequence[str]) -> Statistics:
        """E0s of these elements, scale and shift of a head."""
        column = self.heads.index(head)
        reference = self.model.network.reference_energies
        every = dict(zip(self.model.elements, reference.E0s[column].tolist(), strict=True))
        energies = {element: every[element] for element in elements}
        return Statistics(
            ReferenceEnergies(energies, self.heads[column].e0s_kind),
            float(reference.scale[column]),
            float(reference.shift[column]),
        )

    def check_elements(self, structures: Sequence[LabelledStructure]) -> None:
        """Raise MHFFError for structures with an element that the model does not know."""
        unknown = [each for each in elements_of(structures) if each not in self.model.elements]
        if unknown:
            raise MHFFError(
                f"{first_with(unknown[0], structures)} has {unknown[0]}, which the start model "
                f"does not know: its elements are {listing(self.model.elements)}; leave out "
                f"structures with {listing(unknown)} by filter.elements, or train from scratch"
            )

    def network_with_heads(self, sources: Mapping[str, str]) -> MACE:
        """A trainable copy whose heads, by name, begin as these heads of the model."""
        network = self.model.network
        weights = weights_with_heads(network, [self.heads.index(each) for each in sources.values()])
        config = network.config.model_copy(update={"heads": tuple(sources)})
        heads = Heads([Head(name=name) for name in sources])
        made = assemble(config, network.constants, weights, heads, {}).network
        return made.requires_grad_(True)
