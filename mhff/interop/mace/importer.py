"""A mace-torch `.model` file to a `Model` that gives the same numbers; the file is read, never run.

`records` reads the file, `architecture`, `constants` and `weights` take the model from it, `parts`
sees to it that nothing is left over, `published` knows what the heads of the published models are.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import mhff
from mhff.errors import MHFFError
from mhff.heads import Heads
from mhff.interop.mace.architecture import read_architecture
from mhff.interop.mace.constants import read_constants
from mhff.interop.mace.heads import HeadInfo, describe_heads
from mhff.interop.mace.parts import check_all_used, check_parts
from mhff.interop.mace.reading import Reading, UnknownModelError
from mhff.interop.mace.weights import read_weights
from mhff.interop.torchfile.modules import read_model_file
from mhff.interop.torchfile.refusals import RefusedError
from mhff.model.config import ModelConfig
from mhff.modelfile import Model, assemble


@dataclass(frozen=True)
class Imported:
    """An imported model and what there is to say about it."""

    model: Model
    report: tuple[str, ...]
    """What was read, a sentence each."""
    warnings: tuple[str, ...]
    """What a user should know before using it, a sentence each."""


def import_model(
    path: str | os.PathLike[str], head_info: str | os.PathLike[str] | None = None
) -> Imported:
    """The model in a mace-torch `.model` file; `head_info` is a YAML file that says what its heads
    are (`heads`).

    Raises MHFFError, in one sentence, for a file that is missing, damaged, not a MACE model, or not
    one that mhff gives exactly the same numbers for.
    """
    name = str(path)
    root = read_model_file(path)
    try:
        reading = Reading(root)
        check_parts(reading)
        config = read_architecture(reading)
        constants, weights = read_constants(reading, config), read_weights(reading, config)
        check_all_used(reading)
        described = describe_heads(config, head_info)
        model = _assemble(
            config, constants, weights, described, _provenance(Path(path), reading, described)
        )
    except RefusedError as error:
        raise MHFFError(error.sentence(name)) from error
    return Imported(model, _report(reading, model), _warnings(config))


def _assemble(
    config: ModelConfig,
    constants: dict[str, torch.Tensor],
    weights: dict[str, torch.Tensor],
    described: HeadInfo,
    provenance: dict[str, Any],
) -> Model:
    trained = [
        value for name, value in weights.items() if not name.startswith("reference_energies.")
    ]
    dtype = (
        torch.float64 if any(value.dtype == torch.float64 for value in trained) else torch.float32
    )
    cast = {
        name: value.detach().clone()
        if name.startswith("reference_energies.")
        else value.detach().to(dtype, copy=True)
        for name, value in weights.items()
    }
    try:
        return assemble(config, constants, cast, Heads(described.heads), provenance)
    except (RuntimeError, ValueError) as error:
        raise UnknownModelError(" ".join(str(error).split())[:200]) from error


def _provenance(path: Path, reading: Reading, described: HeadInfo) -> dict[str, Any]:
    content = {
        "made_by": f"mhff import-mace (mhff {mhff.__version__})",
        "imported_from": path.name,
        "sha256_of_file": hashlib.sha256(path.read_bytes()).hexdigest(),
        "class": reading.root.class_path,
    }
    return content | ({"published_as": described.published_as} if described.published_as else {})


def _report(reading: Reading, model: Model) -> tuple[str, ...]:
    config = model.network.config
    n_weights = sum(parameter.numel() for parameter in model.network.parameters())
    blocks = [config.block(layer).value for layer in range(config.n_layers)]
    return (
        f"{reading.root.class_name} with {n_weights:,} weights in "
        f"{str(model.network.dtype).removeprefix('torch.')}",
        f"{config.n_layers} layers ({', '.join(blocks)}), {config.n_channels} channels, l up to "
        f"{config.hidden_lmax} "
        f"between layers and {config.l_max} in the product, correlation "
        f"{', '.join(map(str, config.correlations))}",
        f"{len(config.elements)} elements, cutoff {config.r_max:g} A, heads "
        f"{', '.join(config.heads)}",
        f"{len(reading.used)} tensors and every coupling tensor taken over; nothing was left out",
    )


def _warnings(config: ModelConfig) -> tuple[str, ...]:
    if not config.jumps_at_cutoff:
        return ()
    return (
        "this model's energy jumps where an atom crosses the cutoff (apply_cutoff with the "
        "non-linear block, in mace-torch "
        "too): do not run dynamics that must conserve energy with it",
    )
