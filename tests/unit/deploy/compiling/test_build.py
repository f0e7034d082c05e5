"""Building artefacts: what is asked, what the manifest says, what is never written."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from models import random_model, tiny_model
from programs import artefact as new_artefact

from mhff import MHFFError, Model
from mhff.capabilities import Capabilities
from mhff.graph import from_program_inputs
from mhff.options import Form, Precision
from mhff_deploy.artefact.content import read_manifest
from mhff_deploy.artefact.runtime import load_artefact
from mhff_deploy.compiling import build as build_module
from mhff_deploy.compiling.trace import example_inputs

INPUTS = from_program_inputs(example_inputs(3, torch.float64, torch.device("cpu")))


def test_an_artefact_says_what_it_is(model: Model, artefact: bytes) -> None:
    manifest = read_manifest(artefact, "a")
    config = model.network.config
    assert (manifest.form, manifest.options.head) == (Form.TORCHSCRIPT, "surfaces")
    assert manifest.capabilities == Capabilities(
        heads=model.heads,
        elements=model.elements,
        r_max=model.r_max,
        n_layers=config.n_layers,
        precision=Precision.FLOAT64,
        feature_size=config.n_channels * (config.l_max + 1) ** 2,
        default_head="surfaces",
        state_embeddings=config.state_embeddings,
    )
    assert manifest.torch_version == torch.__version__
    assert 0 < manifest.largest_errors["edge_gradients"] < 1e-8


def test_float32_programs_keep_energies_in_float64() -> None:
    content, manifest = new_artefact(
        tiny_model(), precision="float32", form="torchscript", elements=["Mg", "O"]
    )
    assert manifest.capabilities.elements == ("O", "Mg")
    energies, gradients = load_artefact(content, "a").evaluate(*INPUTS)
    assert (energies.dtype, gradients.dtype) == (torch.float64, torch.float32)


def test_a_mix_is_a_head_of_the_program() -> None:
    mix = "screened=0.7*materials+0.3*surfaces"
    content, _ = new_artefact(tiny_model(), form="torchscript", head="screened", mix=[mix])
    able = read_manifest(content, "a").capabilities
    assert able.default_head == "screened"
    assert able.head_names == ("materials", "surfaces", "molecules", "screened")
    assert able.head_row(None).tolist() == [0.7, 0.3, 0.0]


def test_a_wrong_program_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    original = build_module.lower

    def broken(*arguments):  # type: ignore[no-untyped-def]
        lowered = original(*arguments)
        lowered.network.layers[0].readout.weight.mul_(1.0 + 1e-6)
        return lowered

    monkeypatch.setattr(build_module, "lower", broken)
    with pytest.raises(
        MHFFError, match=r"the compiled program is wrong: its .* differ from the eager model"
    ):
        new_artefact(tiny_model(), precision="float64", form="torchscript")


@pytest.fixture(scope="module")
def outside() -> tuple[torch.Tensor, ...]:
    """Results of a program that was compiled with gradients on, as usual."""
    content, _ = new_artefact(tiny_model(), precision="float64", form="torchscript")
    return load_artefact(content, "outside").evaluate(*INPUTS)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradient_modes_of_the_caller_do_not_matter(
    mode: type, outside: tuple[torch.Tensor, ...]
) -> None:
    """Compiling failed inside either."""
    with mode():
        content, _ = new_artefact(tiny_model(), precision="float64", form="torchscript")
        program = load_artefact(content, "inside")
        inside = program.evaluate(*INPUTS)
    after = program.evaluate(*INPUTS)
    for found, again, expected in zip(inside, after, outside, strict=True):
        assert torch.equal(found, expected)
        assert torch.equal(again, expected)


IMPORT_IN_INFERENCE_MODE = """
import importlib, pkgutil, sys
import torch

with torch.inference_mode():
    for top in ("mhff", "mhff_deploy"):
        for module in pkgutil.walk_packages(importlib.import_module(top).__path__, top + "."):
            importlib.import_module(module.name)
ours = [module for name, module in sys.modules.items() if name.split(".")[0].startswith("mhff")]
tensors = [value for module in ours for value in vars(module).values() if torch.is_tensor(value)]
assert tensors
print([tuple(tensor.shape) for tensor in tensors if tensor.is_inference()])
"""


def test_modules_may_be_imported_in_inference_mode() -> None:
    """Compiling imports most of its modules at its first call; their tensors forbade gradients."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_IN_INFERENCE_MODE], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (
            {"form": "eager"},
            "^the eager form is the model itself .*choose one of aoti, torchscript$",
        ),
        (
            {"head": "dft"},
            "^unknown head 'dft': this model has the heads materials, surfaces, molecules; choose",
        ),
        ({"mix": ["x=0.5*surfaces"]}, "^the weights of a head mix must sum to 1, got "),
        ({"precision": "half"}, "^unknown dtype 'half': choose one of float32, float64$"),
        ({"form": "onnx"}, "^unknown form 'onnx': choose one of eager, aoti, torchscript$"),
        (
            {"isa": "z80"},
            "^unknown instruction set 'z80': choose one of native, portable, x86-64-v3$",
        ),
        ({"device": "abacus"}, "^unknown device 'abacus': choose cpu or cuda$"),
        ({"table_error": -1.0}, "^expected a table error of 0 eV/A or more, got -1; "),
        ({"charge": 1.0}, "^this model has no total-charge input; remove charge=1$"),
        ({"elements": ["Fe"]}, "^this model has no element Fe"),
    ],
)
def test_options_that_cannot_be_met_are_refused(asked: dict[str, object], sentence: str) -> None:
    with pytest.raises(MHFFError, match=sentence):
        new_artefact(tiny_model(), **({"form": "torchscript"} | asked))


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"edge_lmax": 0}, {"hidden_lmax": 2, "edge_lmax": 1}])
def test_gates_have_the_residuals_of_what_is_sent(changes: dict[str, int]) -> None:
    """Features that are not sent leave no residual; kernels once expected one."""
    model = random_model("mh1", n_channels=8, n_edge_channels=8, **changes)
    _, manifest = new_artefact(model, form="torchscript", precision="float64")
    assert manifest.largest_errors["forces"] < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"apply_cutoff": True}])
def test_a_second_model_whose_radial_networks_are_kept(changes: dict[str, bool]) -> None:
    """The linear maps after its convolutions are not packed for kernels."""
    for seed in (0, 1):
        model = random_model("mh1", seed, n_channels=8, n_edge_channels=8, **changes)
        table_error = 1e-6 if changes else 0
        _, manifest = new_artefact(model, form="torchscript", table_error=table_error)
        assert manifest.kernels
        assert manifest.tables.n_intervals == 0
