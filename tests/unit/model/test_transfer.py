"""Networks with copies of another network's heads have that network's energies."""

from __future__ import annotations

import pytest
from models import CONFIGS, random_model
from structures import adsorbate
from tolerances import SAME_NUMBERS, assert_close

from mhff.atoms import graph_from_atoms
from mhff.heads import Head, Heads
from mhff.model.transfer import weights_with_heads
from mhff.modelfile import assemble


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("columns", [(0, 1, 2, 1), (2,), (1, 0)])
def test_heads_are_copied_taken_and_dropped(name: str, columns: tuple[int, ...]) -> None:
    model = random_model(name)
    network = model.network.double()
    names = tuple(f"head{index}" for index in range(len(columns)))
    config = network.config.model_copy(update={"heads": names})
    weights = weights_with_heads(network, columns)
    heads = Heads([Head(name=each) for each in names])
    copy = assemble(config, network.constants, weights, heads, {}).network
    graph = graph_from_atoms(adsorbate(), config.elements, config.r_max)
    expected = network(graph).detach()[:, list(columns)]
    assert_close(copy(graph), expected, SAME_NUMBERS)


def test_the_copy_shares_no_memory() -> None:
    network = random_model("mh1").network
    weights = weights_with_heads(network, (0, 1, 2))
    originals = {value.data_ptr() for value in network.state_dict().values() if value.numel()}
    assert not originals & {value.data_ptr() for value in weights.values() if value.numel()}
