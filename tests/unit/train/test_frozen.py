"""Parts of a network cover all its weights, and frozen ones stay as they are."""

from __future__ import annotations

import pytest
from models import CONFIGS, random_network

from mhff.errors import MHFFError
from mhff.train.frozen import describe_trained, freeze, parts_of


@pytest.mark.parametrize("name", CONFIGS)
def test_parts_hold_every_weight_once(name: str) -> None:
    network = random_network(**CONFIGS[name])
    found = [id(each) for part in parts_of(network) for each in part.module.parameters()]
    assert sorted(found) == sorted(map(id, network.parameters()))


def test_parts_are_frozen_by_name() -> None:
    network = random_network(**CONFIGS["omol"])
    freeze(network, ["embedding", "interactions.1", "readouts"])
    frozen = {
        part.name
        for part in parts_of(network)
        if not any(each.requires_grad for each in part.module.parameters())
    }
    readouts = {"readouts", "readouts.0", "readouts.1", "readouts.2"}
    assert frozen == {"embedding", "interactions.1"} | readouts
    trained, kept = describe_trained(network)
    n_weights = sum(each.numel() for each in network.layers[0].product.parameters())
    assert f"products.0 {n_weights:,}" in trained
    assert kept.startswith("frozen: ")
    assert "interactions.1 " in kept
    assert "interactions.0" not in kept


def test_unknown_parts() -> None:
    network = random_network()
    expected = "embedding, interactions.0, products.0, readouts.0, interactions.1, products.1"
    with pytest.raises(
        MHFFError,
        match=rf"freeze: unknown part products\.2; the nearest is products\.1, .* {expected}",
    ):
        freeze(network, ["products.2"])
    with pytest.raises(MHFFError, match=r"freeze: .* leave nothing to train; freeze fewer parts"):
        freeze(network, ["embedding", "interactions", "products", "readouts"])
