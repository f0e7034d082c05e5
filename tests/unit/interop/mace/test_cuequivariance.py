"""Models in cuequivariance's layout: the same model, or one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from cue_record import cue_record, polynomial, term
from mace_record import random_record as root
from tolerances import ROUNDING, assert_close

from mhff.interop.mace.cuequivariance import NOTE, in_e3nn_layout
from mhff.interop.mace.refusals import UnknownModelError
from mhff.interop.mace.rewriting import Change, changed_at, with_attributes, with_tensor
from mhff.interop.torchfile.modules import ARGUMENTS, ModuleRecord
from mhff.interop.torchfile.values import Inert

CONTRACTION = "products.0.symmetric_contractions"


@pytest.mark.parametrize("name", ["mh1", "mp", "density"])
def test_the_modules_of_e3nn_come_back(name: str) -> None:
    found = in_e3nn_layout(cue_record(root(name)))
    assert found.notes == (NOTE,)
    tensors = found.root.state_dict()
    expected = root(name).state_dict()
    assert tensors.keys() == expected.keys()
    for key, value in expected.items():
        assert_close(tensors[key].double(), value.double(), ROUNDING)
    scripts = {module.path: module.script_tensors for module in found.root.walk()}
    for module in root(name).walk():
        assert scripts[module.path].keys() == module.script_tensors.keys()


def test_other_models_stay_as_they_are() -> None:
    assert in_e3nn_layout(root("mh1")).root is root("mh1")


def without_parts(module: ModuleRecord) -> ModuleRecord:
    return replace(module, children={})


def scaled(module: ModuleRecord) -> ModuleRecord:
    """A polynomial with one coefficient that is a thousandth too large."""
    first, product = module.attributes[ARGUMENTS][0].state["operations"][0]
    path, *others = product.state["paths"]
    state = {**path.state, "coefficients": 1.001 * path.state["coefficients"]}
    changed = {**product.state, "paths": (Inert(path.path, (), state), *others)}
    return polynomial(module.path.removesuffix(".f"), (first, Inert(product.path, (), changed)))


def with_term(operands: tuple[int, ...], subscripts: str, *indices: tuple[int, ...]) -> Change:
    products = [(index, torch.tensor(1.0, dtype=torch.float64)) for index in indices]
    made = term(operands, subscripts, products)
    return lambda module: polynomial(module.path.removesuffix(".f"), made)


def arguments(*values: Any) -> Change:
    return lambda module: with_attributes(module, **{ARGUMENTS: values})


LINEAR = "interactions.1.linear_1"
CONVOLUTION = "interactions.1.conv_tp"
REFUSED: dict[str, tuple[str, Callable[[ModuleRecord], ModuleRecord], str]] = {
    "no polynomial": (LINEAR, without_parts, f"no module {LINEAR}.f"),
    "too few weights": (
        LINEAR, lambda found: with_tensor(found, "weight", torch.ones(1, 3, dtype=torch.float64)),
        "has 3 numbers, but needs more",
    ),
    "no irreps": (LINEAR, lambda found: with_attributes(found, irreps_in=None), "irreps belong"),
    "another normalisation": (f"{LINEAR}.f", scaled, "linear_1 has a coefficient that is off by"),
    "another product": (
        f"{LINEAR}.f", with_term((0, 1, 2), "vu,iu,iv+"), r"multiplies as vu,iu,iv\+, but mhff",
    ),
    "paths that are missing": (
        f"{LINEAR}.f", with_term((0, 1, 2), "uv,iu,iv+", (0, 0, 0)), "in an order that mhff",
    ),
    "another form of a polynomial": (
        f"{LINEAR}.f", arguments(Inert("cuequivariance.descriptors.New", ())),
        "in a form that mhff does not know .*convert_cueq_e3nn",
    ),
    "no arguments": (f"{LINEAR}.f", arguments(), "in a form that mhff does not know"),
    "another coupling": (f"{CONVOLUTION}.f", scaled, "conv_tp has a coefficient that is off by"),
    "another convolution": (
        CONVOLUTION, lambda found: replace(found, class_path="cuequivariance_torch.New"),
        "conv_tp is a cuequivariance_torch.New",
    ),
    "a map of e3nn between those of cuequivariance": (
        "interactions.1.linear_up",
        lambda found: replace(found, class_path="e3nn.o3._linear.Linear"),
        "interactions.1.linear_up lacks cuequivariance's layout, which interactions.1 has",
    ),
    "components beyond the irreps": (
        f"{CONTRACTION}.f", with_term((0, 1, 2), "u,u,u+", (0, 99, 0)), "beyond its irreps",
    ),
    "a product of other operands": (
        f"{CONTRACTION}.f", with_term((0, 0, 2), "u,u,u+"), "products of channels",
    ),
    "a projection of another size": (
        CONTRACTION, lambda found: with_tensor(found, "projection", torch.eye(3).double()),
        "expected the shape",
    ),
    "weights of several orders": (
        CONTRACTION,
        lambda found: with_tensor(
            found, "projection", torch.ones_like(found.tensors["projection"])
        ),
        "weights that belong to several degrees or orders",
    ),
    "no degree": (
        CONTRACTION, lambda found: with_attributes(found, contraction_degree=None),
        "a number for .*contraction_degree",
    ),
    "pseudovectors": (
        CONTRACTION, lambda found: with_attributes(found, irreps_out="4x0e+4x1e"),
        "irreps_out is 4x0e.4x1e, which mhff does not know",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_modules_that_do_not_fit_are_refused(case: str) -> None:
    path, change, sentence = REFUSED[case]
    module = changed_at(cue_record(root("mh1")), path, change)
    with pytest.raises(UnknownModelError, match=sentence):
        in_e3nn_layout(module)
