"""The model that a run starts from: what it predicts for structures, and its weights."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from mhff.data.batch import Batch, join, sample
from mhff.data.reading import LabelledStructure
from mhff.data.reference import ReferenceEnergies
from mhff.data.statistics import elements_of, first_with
from mhff.errors import MHFFError, listing, located
from mhff.evaluate.prediction import predict
from mhff.files import kernel_folder, read_file, sha256
from mhff.heads import Head, Heads
from mhff.model.acceleration import use_kernels
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff.model.transfer import weights_with_heads
from mhff.modelfile import Model, assemble, from_bytes, model_path
from mhff.train.headdata import Statistics
from mhff.train.sections.run import RunSettings


class Start:
    """A start model; it predicts with the device, precision and batch size of the run."""

    def __init__(self, name: str, run: RunSettings) -> None:
        """`name`: a model file or a bundled model; raises MHFFError if it cannot be read."""
        with located("start_from"):
            self.path = model_path(name)
            content = read_file(self.path)
            self.model: Model = from_bytes(content, str(self.path))
        self.checksum = sha256(content)
        self.batch_size = run.batch_size
        self.device = torch.device(run.device)
        self.dtype = run.precision.dtype
        self.network: MACE = copy.deepcopy(self.model.network).to(self.device, self.dtype)
        if run.kernels:
            use_kernels(self.network, self.device, kernel_folder())

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
        return made.requires_grad_(True).to(dtype=self.dtype)

    @torch.no_grad()
    def energies(self, structures: Sequence[LabelledStructure], head: str) -> np.ndarray:
        """Total energies of structures, eV, at a head's level of theory."""
        column = self.heads.index(head)
        totals = []
        for batch in self._batches(structures, column):
            atomic = self.network(batch.graph)[:, column]
            zeros = atomic.new_zeros(batch.graph.n_structures)
            totals.append(zeros.index_add(0, batch.graph.structure, atomic))
        return torch.cat(totals).cpu().numpy()

    def labelled(
        self, structures: Sequence[LabelledStructure], head: str
    ) -> list[LabelledStructure]:
        """The structures with the model's energies and forces, and stresses of periodic ones.

        They are in memory, also those that were in their files.
        """
        evaluate = partial(energies_and_edge_gradients, self.network)
        labelled: list[LabelledStructure] = []
        for batch in self._batches(structures, self.heads.index(head)):
            prediction = predict(evaluate, batch, len(self.heads))
            forces = prediction.forces.cpu().double().split(batch.n_atoms.tolist())
            stress = iter(prediction.stress.cpu().double())
            for index, has_stress in enumerate(batch.has_stress.tolist()):
                labels = {
                    "energy": float(prediction.energy[index]),
                    "forces": forces[index].numpy(),
                    "stress": next(stress).numpy() if has_stress else None,
                }
                labelled.append(replace(structures[len(labelled)].load(), **labels))
        return labelled

    @torch.no_grad()
    def descriptors(self, structures: Sequence[LabelledStructure]) -> np.ndarray:
        """Mean invariant node features of each structure, those of all layers side by side."""
        rows = []
        for batch in self._batches(structures):
            features = self._node_features(batch)
            sums = features.new_zeros(batch.graph.n_structures, features.shape[1])
            sums.index_add_(0, batch.graph.structure, features)
            rows.append(sums / batch.n_atoms.unsqueeze(1))
        return torch.cat(rows).cpu().numpy()

    def _node_features(self, batch: Batch) -> torch.Tensor:
        """Invariant node features, `[n, n_layers * n_channels]`, float64."""
        graph = batch.graph
        edges, _ = self.network.embed_edges(graph)
        features = self.network.embed_nodes(graph.species, graph.state)
        layers = []
        for layer in self.network.layers:
            features, _ = layer(features, graph.species, edges)
            layers.append(features[:, 0])
        return torch.cat(layers, dim=1).double()

    def _batches(self, structures: Sequence[LabelledStructure], column: int = 0) -> Iterator[Batch]:
        """Batches whose stress counts as labelled where there is one: in periodic structures."""
        for start in range(0, len(structures), self.batch_size):
            samples = [
                sample(_with_stress(structure.load()), self.network.config, column)
                for structure in structures[start : start + self.batch_size]
            ]
            yield join(samples).to(self.device, self.dtype)


def _with_stress(structure: LabelledStructure) -> LabelledStructure:
    """The structure with some stress if it is periodic in three directions, else with none."""
    loaded = structure.load()
    stress = np.zeros((3, 3)) if loaded.atoms.pbc.all() else None
    return replace(loaded, stress=stress)
