"""Constants of programs, made by a recipe, are those that tracing finds."""

from __future__ import annotations

import operator

import pytest
import torch
from models import random_model
from torch.fx import GraphModule

from mhff import Model
from mhff.files import kernel_folder
from mhff.options import CompileOptions, Precision
from mhff_deploy.artefact.constants import Constants
from mhff_deploy.compiling.build import complete
from mhff_deploy.compiling.lower import Lowered, lower
from mhff_deploy.compiling.products import use_kernel
from mhff_deploy.compiling.recipe import (
    Recipe,
    Source,
    constant_names,
    sources_of,
    take_constants,
)
from mhff_deploy.compiling.trace import trace

PLAIN = {"n_channels": 6, "n_edge_channels": 6}
"""Channels for which there are no kernels."""
IN_KERNELS = {"n_channels": 8, "n_edge_channels": 8}
MODELS = ["mp", "mh1", "density", "omol"]


def lowered_model(model: Model, table_error: float = 1e-6) -> Lowered:
    asked = complete(CompileOptions(precision=Precision.FLOAT32, table_error=table_error))
    return lower(model, asked, kernel_folder())


def traced(lowered: Lowered) -> tuple[GraphModule, Recipe]:
    """A traced network with its products in kernels, and its recipe."""
    sources = sources_of(lowered.network, lowered.kernels)
    if lowered.kernels is None:
        program = trace(lowered.network)
        return program, take_constants(program, sources).recipe
    with lowered.kernels.traced():
        program = trace(lowered.network)
        recipe = take_constants(program, sources).recipe
        factors = use_kernel(program, lowered.kernels.namespace)
    return program, recipe.with_products(factors, constant_names(program))


def made(recipe: Recipe, lowered: Lowered) -> Constants:
    return recipe.made(sources_of(lowered.network, lowered.kernels))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "channels", "table_error"),
    [
        *((name, channels, 1e-6) for name in MODELS for channels in (PLAIN, IN_KERNELS)),
        ("mp", IN_KERNELS, 0),
        ("mh1", IN_KERNELS, 0),
    ],
)
def test_the_recipe_of_a_model_serves_another(
    name: str, channels: dict[str, int], table_error: float
) -> None:
    first, second = (
        lowered_model(random_model(name, seed=seed, **channels), table_error) for seed in (0, 1)
    )
    _, recipe = traced(first)
    recipe = Recipe.model_validate_json(recipe.model_dump_json())
    program, own = traced(second)
    assert own == recipe
    constants = made(recipe, second)
    assert constants.plain.keys() | constants.packings.keys() == set(constant_names(program))
    for constant, value in constants.plain.items():
        assert torch.equal(value, getattr(program, constant)), constant
        assert value.is_contiguous()
    of_first = made(recipe, first)
    differ = [not torch.equal(x, of_first.plain[name]) for name, x in constants.plain.items()]
    assert any(differ), "expected constants of different models"


@pytest.mark.slow
def test_nothing_is_left_to_compute_that_depends_on_weights_only() -> None:
    program, _ = traced(lowered_model(random_model("mh1", **IN_KERNELS)))
    constants = {node for node in program.graph.nodes if node.op == "get_attr"}
    idle = [
        node
        for node in program.graph.nodes
        if node.op == "call_function"
        and node.all_input_nodes
        and set(node.all_input_nodes) <= constants
    ]
    assert constants
    assert not idle


def halves(weights: torch.Tensor) -> GraphModule:
    """x times one half of the doubled weights plus the other, in float32."""
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    doubled = graph.call_function(torch.ops.aten.mul.Tensor, (graph.get_attr("weights"), 2.0))
    short = graph.call_function(
        torch.ops.aten._to_copy.default,
        (doubled,),
        {"dtype": torch.float32, "device": torch.device("cpu")},
    )
    split = graph.call_function(torch.ops.aten.split.Tensor, (short, 2))
    first, second = (
        graph.call_function(torch.ops.aten.clone.default, (item,))
        for item in (
            graph.call_function(operator.getitem, (split, 0)),
            graph.call_function(operator.getitem, (split, 1)),
        )
    )
    product = graph.call_function(torch.ops.aten.mul.Tensor, (x, first))
    graph.output(graph.call_function(torch.ops.aten.add.Tensor, (product, second)))
    return GraphModule({"weights": weights}, graph)


def test_lists_types_and_devices_are_part_of_a_recipe() -> None:
    weights = torch.arange(4.0, dtype=torch.float64)
    program = halves(weights)
    x = torch.ones(2)
    before = program(x)
    recipe, sources = take_constants(program, {"w": Source(weights)})
    assert torch.equal(program(x), before)
    assert len(constant_names(program)) == 2
    assert set(sources) == {"w"}
    recipe = Recipe.model_validate_json(recipe.model_dump_json())
    other = recipe.made({"w": Source(weights + 1)}).plain
    assert sorted(value.tolist() for value in other.values()) == [[2.0, 4.0], [6.0, 8.0]]
    assert {value.dtype for value in other.values()} == {torch.float32}


def test_other_tensors_become_sources() -> None:
    program = halves(torch.arange(4.0, dtype=torch.float64))
    recipe, sources = take_constants(program, {})
    assert set(sources) == {"program.weights"}
    assert len(recipe.made(sources).plain) == 2
