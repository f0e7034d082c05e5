"""What the start model predicts for structures, in batches on the device of the run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
import torch

from mhff.data.batch import Batch, join, sample
from mhff.data.reading import LabelledStructure
from mhff.evaluate.prediction import predict
from mhff.files import kernel_folder
from mhff.model.acceleration import use_kernels
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.mace import MACE
from mhff.modelfile import Model
from mhff.train.processes import own_device
from mhff.train.sections.run import RunSettings


class Predictor:
    """Predictions of a model with the device, precision and batch size of a run."""

    def __init__(self, model: Model, run: RunSettings) -> None:
        """Raises MHFFError if the device is missing."""
        self.model = model
        self.run = run
        self.device = own_device(run.device)

    @cached_property
    def network(self) -> MACE:
        """A copy of the model's network, with kernels if the run has them."""
        network: MACE = copy.deepcopy(self.model.network)
        network.to(self.device, self.run.precision.dtype)
        if self.run.kernels:
            use_kernels(network, self.device, kernel_folder())
        return network

    @torch.no_grad()
    def energies(self, structures: Sequence[LabelledStructure], head: str) -> np.ndarray:
        """Total energies of structures, eV, at a head's level of theory."""
        column = self.model.heads.index(head)
        totals = []
        for _, batch in self._batches(structures, column):
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
        for loaded, batch in self._batches(structures, self.model.heads.index(head)):
            prediction = predict(evaluate, batch, len(self.model.heads))
            forces = prediction.forces.cpu().double().split(batch.n_atoms.tolist())
            stress = iter(prediction.stress.cpu().double())
            periodic = batch.has_stress.tolist()
            for index, (structure, is_periodic) in enumerate(zip(loaded, periodic, strict=True)):
                labels = {
                    "energy": float(prediction.energy[index]),
                    "forces": forces[index].numpy(),
                    "stress": next(stress).numpy() if is_periodic else None,
                }
                labelled.append(replace(structure, **labels))
        return labelled

    @torch.no_grad()
    def descriptors(self, structures: Sequence[LabelledStructure]) -> np.ndarray:
        """Mean invariant node features of each structure, those of all layers side by side."""
        rows = []
        for _, batch in self._batches(structures):
            features = self._node_features(batch)
            sums = features.new_zeros(batch.graph.n_structures, features.shape[1])
            sums.index_add_(0, batch.graph.structure, features)
            rows.append(sums / batch.n_atoms.unsqueeze(1))
        return torch.cat(rows).cpu().numpy()

    def _node_features(self, batch: Batch) -> torch.Tensor:
        """Invariant node features, `[n, n_layers * n_channels]`."""
        graph = batch.graph
        edges, _ = self.network.embed_edges(graph)
        features = self.network.embed_nodes(graph.species, graph.state)
        layers = []
        for layer in self.network.layers:
            features, _ = layer(features, graph.species, edges)
            layers.append(features[:, 0])
        return torch.cat(layers, dim=1)

    def _batches(
        self, structures: Sequence[LabelledStructure], column: int = 0
    ) -> Iterator[tuple[list[LabelledStructure], Batch]]:
        """Structures in memory, and batches of them.

        Stress counts as labelled where there is one: in periodic structures.
        """
        for start in range(0, len(structures), self.run.batch_size):
            loaded = [each.load() for each in structures[start : start + self.run.batch_size]]
            samples = [sample(_with_stress(each), self.network.config, column) for each in loaded]
            yield loaded, join(samples).to(self.device, self.network.dtype)


def _with_stress(structure: LabelledStructure) -> LabelledStructure:
    """The structure with some stress if it is periodic in three directions, else with none."""
    stress = np.zeros((3, 3)) if structure.atoms.pbc.all() else None
    return replace(structure, stress=stress)
