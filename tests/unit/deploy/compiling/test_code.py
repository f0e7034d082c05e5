"""Compiled code is kept by the graph and the forms of its constants, never by their values."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from manifests import empty_artefact
from models import random_model
from programs import artefact
from torch.fx import GraphModule

from mhff.files import kernel_folder, sha256
from mhff.options import CompileOptions, Precision
from mhff_deploy.compiling.build import complete
from mhff_deploy.compiling.code import (
    Known,
    architecture_name,
    code_name,
    find_known,
    keep_known,
    kept_code,
)
from mhff_deploy.compiling.lower import Lowered, lower
from mhff_deploy.compiling.products import use_kernel
from mhff_deploy.compiling.recipe import Recipe, sources_of, take_constants
from mhff_deploy.compiling.trace import trace


class Made:
    """Counts how often code is made."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self) -> bytes:
        self.n += 1
        return empty_artefact()


ASKED = complete(CompileOptions(precision=Precision.FLOAT64))


def lowered_model(name: str, seed: int, **changes: object) -> Lowered:
    """A random model of few channels, lowered."""
    model = random_model(name, seed=seed, n_channels=8, n_edge_channels=8, **changes)
    return lower(model, ASKED, kernel_folder())


def traced(name: str, seed: int, **changes: object) -> GraphModule:
    """The traced program of a random model, with its products in kernels."""
    lowered = lowered_model(name, seed, **changes)
    assert lowered.kernels is not None
    with lowered.kernels.traced():
        program = trace(lowered.network)
        take_constants(program, sources_of(lowered.network, lowered.kernels))
        use_kernel(program, lowered.kernels.namespace)
    return program


def found(
    program: GraphModule, folder: Path, made: Callable[[], bytes], **options: object
) -> bytes:
    return kept_code(code_name(program, options), folder, made)


@pytest.mark.slow
def test_another_model_of_the_architecture_shares_the_code(tmp_path: Path) -> None:
    made = Made()
    first = found(traced("mh1", 0), tmp_path, made)
    assert found(traced("mh1", 1), tmp_path, made) == first
    assert made.n == 1
    found(traced("mh1", 0, heads=("one",)), tmp_path, made)
    assert made.n == 2


def scaled(value: float, size: int = 2) -> GraphModule:
    graph = torch.fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(torch.ops.aten.mul.Tensor, (x, graph.get_attr("factor"))))
    return GraphModule({"factor": torch.full((size,), value)}, graph)


def test_values_are_no_part_of_the_name_and_forms_and_options_are(tmp_path: Path) -> None:
    made = Made()
    found(scaled(1.0), tmp_path, made)
    found(scaled(2.0), tmp_path, made)
    assert made.n == 1
    found(scaled(1.0, size=3), tmp_path, made)
    found(scaled(1.0), tmp_path, made, march="x86-64-v3")
    assert made.n == 3


@pytest.mark.parametrize("damage", [lambda x: b"", lambda x: x[:-1], lambda x: b"something else"])
def test_damaged_code_is_made_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    made = Made()
    whole = found(scaled(1.0), tmp_path, made)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(whole))
    assert found(scaled(1.0), tmp_path, made)
    assert made.n == 2
    assert found(scaled(1.0), tmp_path, made)
    assert made.n == 2


def test_an_architecture_is_known_by_all_but_its_weights_and_names() -> None:
    name = architecture_name(lowered_model("mp", 0), ASKED)
    assert name == architecture_name(lowered_model("mp", 1), ASKED)
    assert name == architecture_name(lowered_model("mp", 0, heads=("a", "b", "c")), ASKED)
    assert name == architecture_name(lowered_model("mp", 0, avg_num_neighbors=7.0), ASKED)
    others = [
        architecture_name(lowered_model("mp", 0, heads=("one",)), ASKED),
        architecture_name(lowered_model("mp", 0, r_max=4.5), ASKED),
        architecture_name(lowered_model("mp", 0, elements=("C", "O")), ASKED),
        architecture_name(lowered_model("mp", 0), ASKED.but(form="torchscript")),
        architecture_name(lowered_model("mp", 0), ASKED.but(isa="x86-64-v3")),
    ]
    assert len({name, *others}) == 6


@pytest.mark.parametrize("suffix", ["json", "pt2"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda x: b"",
        lambda x: x[:-1],
        lambda x: x.replace(b"code", b"c0de"),
        lambda x: b"\xff" + x,
        lambda x: None,
    ],
)
def test_damaged_knowledge_is_none(
    tmp_path: Path, suffix: str, damage: Callable[[bytes], bytes | None]
) -> None:
    code = kept_code("code", tmp_path, empty_artefact) + b"code"
    (tmp_path / "name.pt2").write_bytes(code)
    keep_known("name", Known(code="name", code_sha256=sha256(code), recipe=Recipe()), tmp_path)
    assert find_known("name", tmp_path) == (code, Recipe())
    path = tmp_path / f"name.{suffix}"
    changed = damage(path.read_bytes())
    path.unlink()
    if changed is not None:
        path.write_bytes(changed)
    assert find_known("name", tmp_path) is None


TRACE_BESIDE_A_PROGRAM = """
import sys, torch
from mhff.modelfile import load
from mhff.opening import open_evaluator
from mhff_deploy.compiling.build import complete
from mhff_deploy.compiling.lower import lower
from mhff_deploy.compiling.trace import trace
from mhff.files import kernel_folder
from mhff.options import CompileOptions
evaluator = open_evaluator(sys.argv[1])
asked = complete(CompileOptions(precision=evaluator.capabilities.precision))
lowered = lower(load(sys.argv[2]), asked, kernel_folder())
assert lowered.kernels.namespace == evaluator.manifest.kernels
with lowered.kernels.traced():
    trace(lowered.network)
"""


@pytest.mark.slow
def test_the_kernels_of_a_program_that_runs_can_be_traced(tmp_path: Path) -> None:
    """To run, a program needs no shapes of results; to trace another one, torch must know them."""
    program, other = tmp_path / "program.pt", tmp_path / "other.mhff"
    model = random_model("mp", n_channels=8, n_edge_channels=8)
    program.write_bytes(artefact(model, head="surfaces", form="torchscript")[0])
    random_model("mp", seed=1, n_channels=8, n_edge_channels=8).save(other)
    command = [sys.executable, "-c", TRACE_BESIDE_A_PROGRAM, str(program), str(other)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
