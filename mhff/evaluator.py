"""What a calculator or an engine adapter calls: one protocol, for the eager model and for compiled
artefacts alike.
"""

from __future__ import annotations

import copy
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import torch

from mhff.errors import MHFFError, listing
from mhff.heads import Heads
from mhff.inputs import check_inputs
from mhff.model.config import StateEmbedding
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.model.state import DEFAULT_STATE
from mhff.modelfile import Model, is_model_file, load, model_path
from mhff.state import check_state

DTYPES = {"float32": torch.float32, "float64": torch.float64}
FORMS = ("eager", "aoti", "torchscript")
"""What a model can run as."""


class Evaluator(Protocol):
    """Energies of every head and the gradient of their weighted sum, with what is needed to prepare
    the inputs.
    """

    heads: Heads
    elements: tuple[str, ...]
    """Chemical symbols in the order of the species index."""
    r_max: float
    """Cutoff radius, A."""
    dtype: torch.dtype
    device: torch.device
    default_head: str | None
    """Head that was chosen when the artefact was compiled; None for a model."""
    state_embeddings: tuple[StateEmbedding, ...]
    """Which of total charge and spin multiplicity matter."""
    default_state: tuple[float, float]
    """Charge and multiplicity where none are given."""

    def evaluate(
        self,
        edge_vectors: torch.Tensor,
        edge_index: torch.Tensor,
        species: torch.Tensor,
        head_weights: torch.Tensor,
        ghost_plan: torch.Tensor | None = None,
        state: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Node energies `[n_local, n_heads]`, float64, eV, and edge gradients `[E, 3]`, eV/A.

        `edge_vectors [E, 3]` = x_receiver - x_sender(image), A; `edge_index [2, E]`; `species
        [n_all]`; `head_weights [n_local, n_heads]`, used as given; `ghost_plan`: owners of the
        atoms beyond n_local
        (`mhff.ops.ghosts`); `state [n_all, 2]`: charge and multiplicity of each atom's structure,
        None for `default_state`. Inputs may have any device and floating-point type; outputs are on
        `device`. Raises MHFFError for wrong shapes, and for indices that are out of range on the
        CPU.
        """
        ...


class EagerEvaluator:
    """The model as it is, without compiling: any device, float32 or float64."""

    default_head: str | None = None
    default_state = DEFAULT_STATE

    def __init__(
        self, model: Model, device: str | torch.device = "cpu", dtype: str = "float64"
    ) -> None:
        self.heads, self.elements, self.r_max = model.heads, model.elements, model.r_max
        self.dtype, self.device = resolve_dtype(dtype), resolve_device(device)
        self.state_embeddings = model.network.config.state_embeddings
        # a network of its own, so that changing its precision leaves the user's model alone
        self.network = (
            copy.deepcopy(model.network).to(self.device, self.dtype).requires_grad_(False)
        )

    def evaluate(
        self,
        edge_vectors: torch.Tensor,
        edge_index: torch.Tensor,
        species: torch.Tensor,
        head_weights: torch.Tensor,
        ghost_plan: torch.Tensor | None = None,
        state: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Evaluator.evaluate`."""
        check_inputs(
            edge_vectors,
            edge_index,
            species,
            head_weights,
            ghost_plan,
            state,
            self.heads.names,
            self.elements,
        )
        if state is not None:
            check_state(state, self.state_embeddings)
        return energies_and_edge_gradients(
            self.network,
            edge_vectors.to(self.device, self.dtype),
            edge_index.to(self.device),
            species.to(self.device),
            head_weights.to(self.device, torch.float64),
            None if ghost_plan is None else ghost_plan.to(self.device),
            None if state is None else state.to(self.device, torch.float64),
        )


def resolve_dtype(name: str) -> torch.dtype:
    """torch dtype of `float32` or `float64`."""
    if name not in DTYPES:
        raise MHFFError(f"unknown dtype '{name}': choose one of {listing(DTYPES)}")
    return DTYPES[name]


def resolve_device(name: str | torch.device) -> torch.device:
    """torch device of `cpu`, `cuda` or `cuda:<index>`; refused where this machine has no such
    device.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise MHFFError(f"unknown device '{name}': choose cpu or cuda") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index is not None):
        raise MHFFError(f"unknown device '{name}': choose cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MHFFError(
            f"no device '{device}': torch sees {torch.cuda.device_count()} CUDA devices on this "
            "machine; use device='cpu'"
        )
    return device


def open_evaluator(
    source: str | os.PathLike[str] | Model | Evaluator,
    device: str = "cpu",
    dtype: str | None = None,
    form: str | None = None,
) -> Evaluator:
    """An evaluator of a model, a model file, a bundled model's name, or an artefact (any kind that
    is installed).

    `dtype` None means float64 for a model and its own for an artefact. An artefact has the device
    and precision it was compiled for; asking for another device or for more precision is refused.
    `form` is what a model runs as: "eager" (or None), or "aoti" or "torchscript", to which it is
    compiled once, in the compile cache.
    """
    if not isinstance(source, (str, os.PathLike, Model)):
        return source
    if form not in (None, *FORMS):
        raise MHFFError(f"unknown form '{form}': choose one of {listing(FORMS)}")
    if not isinstance(source, Model):
        path = model_path(source)
        if not is_model_file(path):
            if form is not None:
                raise MHFFError(
                    f"'{path}' is not a .mhff model file, and only those are compiled; leave out "
                    f"form='{form}'"
                )
            return _open_artefact(path, device, dtype)
        source = load(path)
    if form in (None, "eager"):
        return EagerEvaluator(source, device, dtype or "float64")
    (compiler,) = entry_points(group="mhff.compilers")
    return _open_artefact(compiler.load()(source, device, dtype or "float64", form), device, dtype)


def _open_artefact(path: Path, device: str, dtype: str | None) -> Evaluator:
    openers = entry_points(group="mhff.evaluators")
    for opener in openers:
        evaluator: Evaluator | None = opener.load()(path, device, dtype)
        if evaluator is not None:
            return evaluator
    kinds = listing([".mhff model files", *(opener.name for opener in openers)])
    raise MHFFError(
        f"'{path}' is neither a model nor an artefact of mhff; expected one of: {kinds}"
    )
