"""Parts of a network by name, and those that stay as they are while others are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import nn

from mhff.errors import MHFFError, listing, nearest_to
from mhff.model.mace import MACE


class Part(NamedTuple):
    """A part of a network that can be frozen."""

    name: str
    module: nn.Module


def parts_of(network: MACE) -> list[Part]:
    """Parts that hold all weights of a network; in each layer an interaction, a product, a readout.

    Total charge and spin belong to the embedding, and so does their readout to the readouts.
    """
    found: list[tuple[str, nn.Module | None]] = [
        ("embedding", network.node_embedding),
        ("embedding", network.state_embedding),
        ("readouts", network.state_readout),
    ]
    for index, layer in enumerate(network.layers):
        found += [
            (f"interactions.{index}", layer.interaction),
            (f"products.{index}", layer.product),
            (f"readouts.{index}", layer.readout),
        ]
    return [Part(name, module) for name, module in found if module is not None]


def freeze(network: MACE, names: Sequence[str]) -> None:
    """Freeze parts by name; `products` means those of all layers.

    Raises MHFFError for an unknown part, naming those that exist, and if nothing is left to train.
    """
    parts = parts_of(network)
    for name in names:
        chosen = [part for part in parts if part.name == name or part.name.startswith(f"{name}.")]
        if not chosen:
            raise MHFFError(_unknown(name, [part.name for part in parts]))
        for part in chosen:
            part.module.requires_grad_(False)
    if not any(weight.requires_grad for weight in network.parameters()):
        raise MHFFError(f"freeze: {listing(names)} leave nothing to train; freeze fewer parts")


def describe_trained(network: MACE) -> list[str]:
    """Sentences about which parts are trained and frozen, with their numbers of weights."""
    trained = _counts(network, requires_grad=True)
    frozen = _counts(network, requires_grad=False)
    return [
        f"trained: {_named(trained)}",
        f"frozen: {_named(frozen)}, and the E0s, scale and shift of each head",
    ]


def _counts(network: MACE, requires_grad: bool) -> dict[str, int]:
    """Numbers of weights that are trained, or that are frozen, of the parts that have any."""
    totals: dict[str, int] = {}
    for part in parts_of(network):
        weights = [each for each in part.module.parameters() if each.requires_grad == requires_grad]
        totals[part.name] = totals.get(part.name, 0) + sum(each.numel() for each in weights)
    return {name: count for name, count in totals.items() if count}


def _named(counts: dict[str, int]) -> str:
    parts = listing(f"{name} {count:,}" for name, count in counts.items())
    return f"{sum(counts.values()):,} weights" + (f" ({parts})" if counts else "")


def _unknown(name: str, names: Sequence[str]) -> str:
    return (
        f"freeze: unknown part {name}; {nearest_to(name, names)}the start model has "
        f"{listing(dict.fromkeys(names))}"
    )
