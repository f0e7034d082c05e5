"""How much each head contributes to an epoch: its structures, and their weight in the loss."""

from __future__ import annotations

from collections.abc import Sequence

from mhff.errors import listing
from mhff.train.headdata import HeadData
from mhff.train.sampling import Sampling


def describe_mixture(heads: Sequence[HeadData], sampling: Sampling) -> list[str]:
    """A sentence about the shares of several heads; `sampling` has one group for each head."""
    weights = [
        count * _mean_weight(head) for head, count in zip(heads, sampling.counts, strict=True)
    ]
    total = sum(weights)
    if len(heads) < 2 or not total:
        return []
    parts = [
        f"{head.name} {count} ({_percent(count / len(sampling))}, {_percent(weight / total)} of "
        "the weight)"
        for head, count, weight in zip(heads, sampling.counts, weights, strict=True)
    ]
    return [f"an epoch sees {len(sampling)} structures: {listing(parts)}"]


def _mean_weight(head: HeadData) -> float:
    """Mean weight of the training structures in the loss, relative to the terms' own weights."""
    train = head.parts["train"]
    factors = [
        head.settings.config_weights.get(item.config_type, 1.0) * sum(item.weights) / 3
        for item in train
    ]
    return head.settings.weight * sum(factors) / max(len(factors), 1)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
