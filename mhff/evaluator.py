"""One protocol for the eager model and for compiled programs, and the eager model itself."""

from __future__ import annotations

import copy
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from mhff.capabilities import Capabilities, model_capabilities
from mhff.devices import resolve_device
from mhff.errors import MHFFError
from mhff.graph import Graph, check_graph
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.network import Network
from mhff.modelfile import Model
from mhff.ops.lists import REFERENCE, ListOperators
from mhff.ops.pairs import PairOperators, reference_operators
from mhff.options import Precision
from mhff.state import check_state

ModelSource = str | os.PathLike[str] | Model
"""A model as a user names it: a path, a bundled model's name, or `mhff.load(...)`."""


PROGRAM_FEATURES = 12
"""Memory of a compiled program for each atom, in features of `Capabilities.feature_size` numbers.

Measured: 8 to 11 in MgO, from 32 to 512 channels.
"""
EAGER_FEATURES = 16
"""Memory of an eager model for each edge, in features.

Measured in MgO: 4 for 512 channels, 14 for 128.
"""
EDGE_BYTES = 100
"""Memory for the geometry of each edge."""


class Evaluator(ABC):
    """Energies of every head and the gradient of their weighted sum.

    Evaluators are immutable, so copies of an object that holds one share it.
    """

    capabilities: Capabilities

    @abstractmethod
    def evaluate(
        self, graph: Graph, head_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Node energies `[n_local, n_heads]`, float64, eV, and edge gradients `[E, 3]`, eV/A.

        `head_weights [n_local, n_heads]` are used as given. Inputs may have any device and
        floating-point type; outputs are on the evaluator's device. Raises MHFFError for a graph
        that violates the table of `mhff.graph`.
        """

    def list_operators(self) -> ListOperators:
        """The fastest operators around `evaluate` for a neighbour list, on its device."""
        return REFERENCE

    def check(self, graph: Graph, head_weights: torch.Tensor) -> None:
        """Raise MHFFError unless the evaluator can take these inputs."""
        capabilities = self.capabilities
        check_graph(graph, head_weights, len(capabilities.elements), len(capabilities.heads))
        if capabilities.state_embeddings:
            check_state(graph.state, capabilities.state_embeddings)

    def bytes_needed(self, n_atoms: int, n_pairs: float) -> float:
        """Memory that an evaluation of so many atoms and edges takes, estimated."""
        capabilities = self.capabilities
        feature = capabilities.feature_size * capabilities.dtype.itemsize
        return PROGRAM_FEATURES * feature * n_atoms + EDGE_BYTES * n_pairs

    def is_ready(self, symbols: Sequence[str]) -> bool:
        """Whether evaluations of these elements never wait, now or later, for a compiler."""
        return True

    def expect(self, symbols: Sequence[str], n_edges: float) -> None:  # noqa: B027 - see `prepare`
        """Prepare now for structures of these elements if so many edges make it worthwhile."""

    def prepare(self, symbols: Sequence[str]) -> None:  # noqa: B027 - most have nothing to do
        """Do now the slow part of the first evaluation of structures of these elements."""

    def twice_differentiable(self, symbols: Sequence[str], work: int) -> Network:
        """A network with second derivatives, in float64, for structures of these elements.

        `work`: number of second derivatives times that of edges, by which a fast network that takes
        long to make is chosen or not. Raises MHFFError for a compiled file, which has none.
        """
        raise MHFFError(
            "a compiled file has energies and forces, but no second derivatives; open the .mhff "
            "model that it was compiled from"
        )

    def pair_operators(self, device: torch.device) -> PairOperators:
        """The fastest operators around `evaluate` for an engine with pairs on this device."""
        return reference_operators(self.capabilities.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Evaluator:
        return self


class EagerEvaluator(Evaluator):
    """The model as it is, without compiling: any device, float32 or float64."""

    def __init__(
        self,
        model: Model,
        device: str | torch.device = "cpu",
        precision: Precision = Precision.FLOAT64,
    ) -> None:
        where = resolve_device(device)
        self.model = model
        self.capabilities = model_capabilities(
            model.network.config, model.heads, precision, str(where)
        )
        self.device = where
        with torch.inference_mode(False), torch.no_grad():
            # a network of its own, so that changing its precision leaves the user's model alone
            network = copy.deepcopy(model.network).to(where, precision.dtype)
        self.network = network.requires_grad_(False)

    def __reduce__(self) -> tuple[Callable[..., EagerEvaluator], tuple[Any, ...]]:
        """Another process has its own copy on the device, which may mean another GPU there."""
        precision = self.capabilities.precision
        return EagerEvaluator, (self.model, self.capabilities.device, precision)

    def evaluate(
        self, graph: Graph, head_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Evaluator.evaluate`."""
        self.check(graph, head_weights)
        with torch.inference_mode(False):
            own = graph.to(self.device, self.capabilities.dtype).outside_inference_mode()
            weights = head_weights.to(self.device, torch.float64)
            if weights.is_inference():
                weights = weights.clone()
            return energies_and_edge_gradients(self.network, own, weights)

    def bytes_needed(self, n_atoms: int, n_pairs: float) -> float:
        """Far more than a program needs, for every edge; see `Evaluator.bytes_needed`."""
        feature = self.capabilities.feature_size * self.capabilities.dtype.itemsize
        return super().bytes_needed(n_atoms, n_pairs) + EAGER_FEATURES * feature * n_pairs

    def twice_differentiable(self, symbols: Sequence[str], work: int) -> Network:
        """The model's network in float64; see `Evaluator.twice_differentiable`."""
        if self.network.dtype is torch.float64:
            return self.network
        return EagerEvaluator(self.model, self.device).network


def check_finite(energy: float, forces: np.ndarray) -> None:
    """Raise MHFFError unless an energy, eV, and forces, eV/A, are finite."""
    if not (math.isfinite(energy) and np.isfinite(forces).all()):
        largest = np.abs(forces).max(initial=0.0)
        raise MHFFError(
            f"expected finite numbers, got the energy {energy} eV and forces up to {largest} eV/A; "
            "check that no two atoms coincide and that the head weights are finite, or use a "
            "shorter time step"
        )
