"""Low-rank adapters in a model's modules: merged into the weights, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from mace_record import Part, linear
from mace_record import random_record as root
from tolerances import ROUNDING, assert_close

from mhff.interop.mace.adapters import with_merged_adapters
from mhff.interop.mace.irreps import Irreps, irreps, natural, words
from mhff.interop.mace.refusals import UnknownModelError
from mhff.interop.mace.rewriting import (
    Rewritten,
    changed_at,
    moved,
    with_attributes,
    with_tensor,
)
from mhff.interop.torchfile.modules import ModuleRecord

Change = Callable[[ModuleRecord], ModuleRecord]
RANK = 2
SCALING = 0.75
DENSE = "interactions.0.conv_tp_weights.net.0"
EQUIVARIANT = "interactions.0.linear_1"
LAYER = "interactions.0.conv_tp_weights.layer0"


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def adapter(module: ModuleRecord, kind: str, parts: dict[str, Part], **own: torch.Tensor) -> Change:
    record = Part(f"mace.modules.lora.{kind}", scaling=SCALING, _cached_delta=None).has(**parts)
    found = record.holds(**own).record(module.path)
    base = moved(module, f"{module.path}.base")
    return lambda _: ModuleRecord(
        **{**found.__dict__, "children": {"base": base, **found.children}}
    )


def with_dense(module: ModuleRecord) -> ModuleRecord:
    """An adapter on a map of torch, with random weights."""
    fan_out, fan_in = module.tensors["weight"].shape
    up = Part("torch.nn.modules.linear.Linear").holds(weight=random(RANK, fan_in))
    down = Part("torch.nn.modules.linear.Linear").holds(weight=random(fan_out, RANK))
    return adapter(module, "LoRADenseLinear", {"lora_A": up, "lora_B": down})(module)


def with_layer(module: ModuleRecord) -> ModuleRecord:
    """An adapter on a layer of e3nn."""
    fan_in, fan_out = module.tensors["weight"].shape
    own = {"lora_A": random(fan_in, RANK), "lora_B": random(RANK, fan_out)}
    return adapter(module, "LoRAFCLayer", {}, **own)(module)


def with_equivariant(module: ModuleRecord) -> ModuleRecord:
    """An adapter on an equivariant map."""
    inputs = irreps(module.attributes["irreps_in"])
    outputs = irreps(module.attributes["irreps_out"])
    middle = natural(RANK, len(outputs) - 1)
    parts = {"lora_A": between(inputs, middle), "lora_B": between(middle, outputs)}
    return adapter(module, "LoRAO3Linear", parts)(module)


def between(inputs: Irreps, outputs: Irreps) -> Part:
    pairs = zip(inputs, outputs, strict=True)
    part = linear([random(a, b) for (a, *_), (b, *_) in pairs])
    assert part.attributes["irreps_in"] == words(inputs)
    return part


def merged(module: ModuleRecord, path: str, change: Change) -> Rewritten:
    return with_merged_adapters(changed_at(module, path, change))


def weight(rewritten: Rewritten, path: str) -> torch.Tensor:
    return rewritten.root.state_dict()[f"{path}.weight"]


def test_a_dense_adapter() -> None:
    base = root("mh1").state_dict()[f"{DENSE}.weight"]
    found = merged(root("mh1"), DENSE, with_dense)
    expected = base + SCALING * random(base.shape[0], RANK) @ random(RANK, base.shape[1])
    assert_close(weight(found, DENSE), expected, ROUNDING)
    assert found.notes == ("LoRA merged: adapters of rank 2 on 1 maps added to the weights",)
    assert found.root.state_dict().keys() == root("mh1").state_dict().keys()


def test_an_adapter_of_a_radial_layer() -> None:
    base = root("mp").state_dict()[f"{LAYER}.weight"]
    found = merged(root("mp"), LAYER, with_layer)
    expected = base + SCALING * random(base.shape[0], RANK) @ random(RANK, base.shape[1])
    assert_close(weight(found, LAYER), expected, ROUNDING)


def test_an_equivariant_adapter() -> None:
    """The map and its adapter, each with e3nn's factors, add up to the merged map."""
    path = "interactions.0.linear_2"
    module = changed_at(root("mh1"), path, with_equivariant)
    part = module.children["interactions"].children["0"].children["linear_2"]
    inputs = irreps(part.children["base"].attributes["irreps_in"])
    found = weight(with_merged_adapters(module), path)
    position = dict.fromkeys(("base", "lora_A", "lora_B", "merged"), 0)

    def following(name: str, rows: int, columns: int) -> torch.Tensor:
        flat = found if name == "merged" else part.children[name].tensors["weight"]
        start = position[name]
        position[name] = start + rows * columns
        return flat[start : start + rows * columns].reshape(rows, columns)

    for channels, *_ in inputs:
        x = random(5, channels)
        up = x @ following("lora_A", channels, RANK) / channels**0.5
        down = up @ following("lora_B", RANK, channels) / RANK**0.5
        before = x @ following("base", channels, channels) / channels**0.5
        after = x @ following("merged", channels, channels) / channels**0.5
        assert_close(after, before + SCALING * down, ROUNDING)


def test_a_model_without_adapters_stays_as_it_is() -> None:
    assert with_merged_adapters(root("mh1")).notes == ()


def test_the_precision_of_the_file_stays() -> None:
    def single(module: ModuleRecord) -> ModuleRecord:
        return with_tensor(module, "weight", module.tensors["weight"].float())

    module = changed_at(root("mh1"), DENSE, single)
    assert weight(merged(module, DENSE, with_dense), DENSE).dtype == torch.float32


def without(name: str) -> Change:
    return lambda module: ModuleRecord(
        **{**module.__dict__, "children": {k: v for k, v in module.children.items() if k != name}}
    )


REFUSED: dict[str, tuple[str, str, Change, str, Change, str]] = {
    "no map below": ("mh1", DENSE, with_dense, "", without("base"), "no module .*net.0.base"),
    "half an adapter": ("mh1", DENSE, with_dense, "", without("lora_B"), "no module .*lora_B"),
    "no scale": (
        "mh1", DENSE, with_dense, "", lambda found: with_attributes(found, scaling=None),
        "a number for .*scaling",
    ),
    "another kind": (
        "mh1", DENSE, with_dense, "",
        lambda found: ModuleRecord(**{**found.__dict__, "class_path": "mace.modules.lora.DoRA"}),
        "is a DoRA, but mhff knows the adapters LoRAO3Linear",
    ),
    "a setting without a known meaning": (
        "mh1", DENSE, with_dense, "", lambda found: with_attributes(found, dropout=0.1),
        "settings that mhff does not know: dropout",
    ),
    "factors of another width": (
        "mh1", DENSE, with_dense, "lora_A",
        lambda found: with_tensor(found, "weight", random(RANK, 3)), "expected the shape",
    ),
    "a factor that is a number": (
        "mp", LAYER, with_layer, "", lambda found: with_tensor(found, "lora_A", torch.ones(())),
        "expected the shape",
    ),
    "irreps of another map": (
        "mh1", "interactions.0.linear_2", with_equivariant, "lora_B",
        lambda found: with_attributes(found, irreps_out="3x0e"), "irreps_out does not fit",
    ),
    "too few weights": (
        "mh1", "interactions.0.linear_2", with_equivariant, "lora_A",
        lambda found: with_tensor(found, "weight", random(3)), "has 3 numbers, but needs more",
    ),
    "a bias": (
        "mh1", DENSE, with_dense, "lora_A",
        lambda found: ModuleRecord(
            **{**found.__dict__, "buffers": {**found.buffers, "bias": random(2)}}
        ),
        "parts that mhff does not know: bias",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_adapters_that_do_not_fit_are_refused(case: str) -> None:
    name, path, add, part, change, sentence = REFUSED[case]
    module = changed_at(changed_at(root(name), path, add), f"{path}.{part}".rstrip("."), change)
    with pytest.raises(UnknownModelError, match=sentence):
        with_merged_adapters(module)
