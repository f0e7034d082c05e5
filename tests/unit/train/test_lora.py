"""Low-rank changes: nothing at first, trained in place of weights, merged into them at the end."""

from __future__ import annotations

import pytest
import torch
from models import CONFIGS, random_network
from structures import adsorbate
from tolerances import ROUNDING, assert_close

from mhff.atoms import graph_from_atoms
from mhff.errors import MHFFError
from mhff.heads import Head, Heads
from mhff.model.mace import MACE
from mhff.modelfile import assemble
from mhff.train.frozen import freeze
from mhff.train.lora import LowRankChange, add_low_rank_changes, merged_weights
from mhff.train.sections.fine_tuning import LoraSettings

SETTINGS = LoraSettings(rank=2, alpha=3.0)


def changed(name: str) -> MACE:
    """A network in float64 whose changes are not zero."""
    network = random_network(**CONFIGS[name]).double()
    add_low_rank_changes(network, SETTINGS, seed=1)
    generator = torch.Generator().manual_seed(2)
    for module in network.modules():
        if isinstance(module, LowRankChange):
            with torch.no_grad():
                module.b.normal_(std=0.1, generator=generator)
    return network


def energies(network: MACE) -> torch.Tensor:
    config = network.config
    return network(graph_from_atoms(adsorbate(), config.elements, config.r_max)).detach()


@pytest.mark.parametrize("name", CONFIGS)
def test_changes_are_zero_at_first(name: str) -> None:
    network = random_network(**CONFIGS[name]).double()
    before = energies(network)
    add_low_rank_changes(network, SETTINGS, seed=1)
    assert torch.equal(energies(network), before)


@pytest.mark.parametrize("name", CONFIGS)
def test_merged_weights_give_the_same_energies(name: str) -> None:
    network = changed(name)
    heads = Heads([Head(name=head) for head in network.config.heads])
    merged = assemble(network.config, network.constants, merged_weights(network), heads, {}).network
    assert_close(energies(merged), energies(network), ROUNDING)
    original = random_network(**CONFIGS[name]).double()
    assert not torch.allclose(energies(merged), energies(original))


def test_only_changes_and_readouts_are_trained() -> None:
    network = changed("mh1")
    names = {name for name, weight in network.named_parameters() if weight.requires_grad}
    assert names
    for name in names:
        assert ".readout." in name or name.endswith((".a", ".b"))
    linear = network.layers[1].interaction.linear_up
    change = linear.weights.parametrizations["0"][0]
    assert change.a.shape == (linear.weights[0].shape[0], 2)
    assert change.scale == 1.5
    product = change.a @ change.b
    original = linear.weights.parametrizations["0"].original
    assert torch.equal(linear.weights[0], original + 1.5 * product)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_change_has_a_gradient(name: str) -> None:
    network = changed(name)
    config = network.config
    network(graph_from_atoms(adsorbate(), config.elements, config.r_max)).sum().backward()
    weights = [each for each in network.parameters() if each.requires_grad]
    assert all(each.grad is not None for each in weights)


def test_frozen_parts_get_no_changes() -> None:
    network = random_network()
    freeze(network, ["interactions.0", "products"])
    add_low_rank_changes(network, SETTINGS, seed=1)
    paths = [path for path, each in network.named_modules() if isinstance(each, LowRankChange)]
    assert paths
    assert all(path.startswith("layers.1.interaction.") for path in paths)
    network = random_network()
    freeze(network, ["interactions", "products"])
    with pytest.raises(MHFFError, match="lora: all linear maps are frozen; leave an interaction"):
        add_low_rank_changes(network, SETTINGS, seed=1)
