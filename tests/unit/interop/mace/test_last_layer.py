"""Features of the last layer that no energy depends on are left out, or the model is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from mace_record import random_record as root

from mhff.interop.mace.irreps import natural, words
from mhff.interop.mace.last_layer import without_unused_features
from mhff.interop.mace.refusals import UnknownModelError
from mhff.interop.mace.rewriting import (
    Change,
    changed_at,
    moved,
    with_attributes,
    with_tensor,
)
from mhff.interop.torchfile.modules import ModuleRecord

NAMES = ("mh1", "mp")


def with_kept_features(module: ModuleRecord) -> ModuleRecord:
    """The model with random features of l = 1 after its second and last layer."""
    layer = module.children["interactions"].children["1"]
    channels = int(str(layer.attributes["hidden_irreps"]).partition("x")[0])
    output = words(natural(channels, 1))
    first = module.children["products"].children["0"].children["symmetric_contractions"]
    place = "products.1.symmetric_contractions.contractions.1"
    vectors = moved(first.children["contractions"].children["1"], place)

    def grown(found: ModuleRecord) -> ModuleRecord:
        n_sets = 1
        if "irreps_in2" in found.attributes:
            n_sets = int(str(found.attributes["irreps_in2"]).partition("x")[0])
        more = torch.randn(channels * n_sets * channels, dtype=torch.float64)
        weight = torch.cat([found.tensors["weight"], more])
        attributes = {"irreps_out": output}
        attributes["irreps_in1" if n_sets > 1 else "irreps_in"] = output
        return with_attributes(with_tensor(found, "weight", weight), **attributes)

    def contracted(found: ModuleRecord) -> ModuleRecord:
        contractions = found.children["contractions"]
        children = {**contractions.children, "1": vectors}
        return with_attributes(
            replace(found, children={"contractions": replace(contractions, children=children)}),
            irreps_out=output,
        )

    changes: dict[str, Change] = {
        "interactions.1": lambda found: with_attributes(found, hidden_irreps=output),
        "interactions.1.skip_tp": grown,
        "products.1.linear": grown,
        "products.1.symmetric_contractions": contracted,
    }
    for path, change in changes.items():
        module = changed_at(module, path, change)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_the_same_weights_remain(name: str) -> None:
    expected = root(name).state_dict()
    kept = with_kept_features(root(name))
    assert len(kept.state_dict()) > len(expected)
    found = without_unused_features(kept)
    assert found.notes
    tensors = found.root.state_dict()
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[key], expected[key]) for key in expected)
    last = found.root.children["interactions"].children["1"]
    assert (
        last.attributes["hidden_irreps"]
        == root(name).children["interactions"].children["1"].attributes["hidden_irreps"]
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_scalars_stays_as_it_is(name: str) -> None:
    assert without_unused_features(root(name)).notes == ()


@pytest.mark.parametrize(
    ("path", "change", "sentence"),
    [
        (
            "products.1.linear",
            lambda found: with_tensor(found, "weight", found.tensors["weight"][:-1]),
            "products.1.linear.weight has .* numbers, but needs more",
        ),
        (
            "products.1.linear",
            lambda found: with_attributes(found, irreps_out="4x0e"),
            "products.1.linear.irreps_out is 4x0e, but its layer gives",
        ),
        (
            "products.1.symmetric_contractions",
            lambda found: replace(found, children={}),
            "no module products.1.symmetric_contractions.contractions",
        ),
        (
            "products.1.symmetric_contractions.contractions",
            lambda found: replace(found, children={"0": found.children["0"]}),
            "has 1 contractions for 2 irreps",
        ),
        (
            "interactions.1",
            lambda found: replace(found, children={}),
            "no module interactions.1.skip_tp",
        ),
    ],
)
def test_incomplete_models_are_refused(path: str, change: Change, sentence: str) -> None:
    module = changed_at(with_kept_features(root("mh1")), path, change)
    with pytest.raises(UnknownModelError, match=sentence):
        without_unused_features(module)
