"""The weights of each structure in the loss: head, configuration type, terms, its own factors."""

from __future__ import annotations

from collections.abc import Sequence

from mhff.data.reading import LabelledStructure
from mhff.data.weights import Weights
from mhff.errors import MHFFError, listing
from mhff.train.sections.heads import SourceSettings
from mhff.train.sections.loss import LossSettings


def weights_of(structure: LabelledStructure, source: SourceSettings, loss: LossSettings) -> Weights:
    """Weights of a structure's energy, forces and stress."""
    factor = source.weight * source.config_weights.get(structure.config_type, 1.0)
    terms = zip(source.loss.over(loss), structure.weights, strict=True)
    return Weights(*(factor * term * own for term, own in terms))


def check_config_types(structures: Sequence[LabelledStructure], source: SourceSettings) -> None:
    """Raise MHFFError for a weight of a configuration type that no structure has."""
    found = sorted({item.config_type for item in structures})
    unknown = [name for name in source.config_weights if name not in found]
    if unknown:
        raise MHFFError(
            f"config_weights names {listing(unknown)}, but no structure has that config_type: "
            f"there are {listing(found)}"
        )
