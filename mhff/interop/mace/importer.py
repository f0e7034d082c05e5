"""The import of a mace-torch `.model` file: a `Model` with the same numbers; nothing is run.

`torchfile` reads the file; `forms` brings its modules to the one form that `architecture`,
`constants` and `weights` take the model from; `parts` makes sure that nothing is left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

import mhff
from mhff.errors import MHFFError
from mhff.files import StrPath, sha256
from mhff.heads import Heads
from mhff.interop.mace.architecture import read_architecture
from mhff.interop.mace.constants import read_constants
from mhff.interop.mace.forms import plain_form
from mhff.interop.mace.generated import MACE_FORMAT
from mhff.interop.mace.heads import HeadInfo, describe_heads
from mhff.interop.mace.parts import check_all_used, check_parts
from mhff.interop.mace.reading import Reading
from mhff.interop.mace.refusals import UnknownModelError
from mhff.interop.mace.rewriting import Rewritten
from mhff.interop.mace.weights import read_weights
from mhff.interop.torchfile.archive import read_content
from mhff.interop.torchfile.modules import read_model
from mhff.interop.torchfile.refusals import RefusedError
from mhff.model.config import ModelConfig
from mhff.modelfile import IN_FLOAT64, Model, assemble, is_model_file


@dataclass(frozen=True)
class Imported:
    """An imported model, with remarks for the user."""

    model: Model
    report: tuple[str, ...]
    """Sentences about what was read."""
    warnings: tuple[str, ...]
    """Sentences that a user should read before using the model."""


def import_model(path: StrPath, head_info: StrPath | None = None) -> Imported:
    """The model in a mace-torch `.model` file.

    `head_info` is a YAML file that describes its heads (`heads`). Raises MHFFError, in one
    sentence, for a file that is missing, damaged, not a MACE model, or not one that mhff gives
    exactly the same numbers for.
    """
    source = Path(path)
    if not source.is_file():
        raise MHFFError(f"no file '{source}': give a .model file that mace-torch wrote")
    if is_model_file(source):
        raise MHFFError(f"'{source}' is a model file of mhff already; no import is needed")
    try:
        content = read_content(source)
        rewritten = plain_form(read_model(content, MACE_FORMAT))
        return _import(rewritten, source, sha256(content), head_info)
    except RefusedError as error:
        raise MHFFError(error.sentence(str(source))) from error


def _import(
    rewritten: Rewritten, source: Path, checksum: str, head_info: StrPath | None
) -> Imported:
    reading = Reading(rewritten.root)
    check_parts(reading)
    config = read_architecture(reading)
    constants = read_constants(reading, config)
    weights = read_weights(reading, config)
    check_all_used(reading)
    described = describe_heads(config, head_info)
    provenance = {
        "made_by": f"mhff import-mace (mhff {mhff.__version__})",
        "imported_from": source.name,
        "sha256_of_file": checksum,
        "class": reading.root.class_path,
    }
    if rewritten.notes:
        provenance["changed_at_import"] = "; ".join(rewritten.notes)
    if described.published_as:
        provenance["published_as"] = described.published_as
    model = _assemble(config, constants, weights, described, provenance)
    return Imported(model, _report(reading, model, rewritten.notes), _warnings(config))


def _assemble(
    config: ModelConfig,
    constants: dict[str, torch.Tensor],
    weights: dict[str, torch.Tensor],
    described: HeadInfo,
    provenance: dict[str, Any],
) -> Model:
    """The model in the precision of its file: float64 if any trained weight is."""
    trained = [value for name, value in weights.items() if not name.startswith(IN_FLOAT64)]
    is_double = any(value.dtype == torch.float64 for value in trained)
    dtype = torch.float64 if is_double else torch.float32
    own = {
        name: value.detach().to(value.dtype if name.startswith(IN_FLOAT64) else dtype, copy=True)
        for name, value in weights.items()
    }
    try:
        return assemble(config, constants, own, Heads(described.heads), provenance)
    except (RuntimeError, ValueError) as error:
        raise UnknownModelError(" ".join(str(error).split())) from error


def _report(reading: Reading, model: Model, notes: tuple[str, ...]) -> tuple[str, ...]:
    config = model.network.config
    n_weights = sum(parameter.numel() for parameter in model.network.parameters())
    blocks = ", ".join(config.block(layer).value for layer in range(config.n_layers))
    correlations = ", ".join(map(str, config.correlations))
    dtype = str(model.network.dtype).removeprefix("torch.")
    return (
        f"{reading.root.class_name} with {n_weights:,} weights in {dtype}",
        f"{config.n_layers} layers ({blocks}), {config.n_channels} channels, l up to "
        f"{config.hidden_lmax} between layers and {config.l_max} in the product, correlation "
        f"{correlations}",
        f"{len(config.elements)} elements, cutoff {config.r_max:g} A, heads "
        f"{', '.join(config.heads)}",
        *notes,
        f"{len(reading.used)} tensors and every coupling tensor taken over; nothing "
        f"{'else ' if notes else ''}was left out",
    )


def _warnings(config: ModelConfig) -> tuple[str, ...]:
    if not config.jumps_at_cutoff:
        return ()
    return (
        "this model's energy jumps where an atom crosses the cutoff (apply_cutoff with the "
        "non-linear block, in mace-torch too): do not run dynamics that must conserve energy "
        "with it",
    )
