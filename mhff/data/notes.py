"""Sentences for the user about labels that the model does not use, and about weights in files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mhff.data.keys import KeySetting
from mhff.data.reading import STATE_LABELS, LabelledStructure
from mhff.data.weights import OF_ALL_TERMS, OF_TERMS, Weights
from mhff.errors import listing
from mhff.graph import DEFAULT_STATE
from mhff.model.config import StateEmbedding
from mhff.model.state import QUANTITIES


def unread_labels(structures: Sequence[LabelledStructure], setting: KeySetting) -> list[str]:
    """Sentences about entries that look like a charge or spin but are not read as one."""
    counts = Counter(name for item in structures for name in item.unread)
    settings = " or ".join(setting.name(label) for label in STATE_LABELS)
    return [
        f"{count} of {len(structures)} structures have '{name}', which is not read; if it is the "
        f"total charge or the spin multiplicity, name it with {settings}"
        for name, count in counts.items()
    ]


def weighted(structures: Sequence[LabelledStructure]) -> list[str]:
    """A sentence about structures that bring weights along."""
    count = sum(item.weights != Weights() for item in structures)
    names = listing((OF_ALL_TERMS, *OF_TERMS))
    return [f"{count} structures have weights of their own ({names})"] if count else []


def unused_state(
    structures: Sequence[LabelledStructure], embeddings: Sequence[StateEmbedding]
) -> list[str]:
    """Sentences about charges and spins that a model with these embeddings does not take."""
    words = dict(zip(QUANTITIES, ("total charge", "spin multiplicity"), strict=True))
    taken = {embedding.quantity for embedding in embeddings}
    sentences = []
    for quantity, key, default in zip(
        QUANTITIES, STATE_LABELS.values(), DEFAULT_STATE, strict=True
    ):
        count = sum(dict(item.state).get(key, default) != default for item in structures)
        if count and quantity not in taken:
            sentences.append(
                f"{count} of {len(structures)} structures have a {words[quantity]} other "
                f"than {default:g}, which this model does not take; it is not used"
            )
    return sentences
