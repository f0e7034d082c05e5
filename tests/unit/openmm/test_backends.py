"""The choice of a backend, and the combinations of openmm-torch that are recognised."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mhff import MHFFError
from mhff.filekinds import SourceFile
from mhff_openmm import plugin
from mhff_openmm.backends import choice, python_force, python_torch_force
from mhff_openmm.backends.backend import Backend
from mhff_openmm.backends.choice import choose_backend
from mhff_openmm.computation import TensorComputation
from mhff_openmm.definition import ForceDefinition
from mhff_openmm.parameters import Parameters
from mhff_openmm.program import Program

DEFINITION = ForceDefinition(
    program=Program("gone.mhff", "0" * 64, None, "cpu", "float32", ("H",)),
    file=SourceFile(Path("gone.mhff"), b""),
    symbols=("H", "H"),
    subset=None,
    parameters=Parameters("mhff", ("a",)),
    weights=(1.0,),
    state=(0.0, 1.0),
    periodic=False,
    skin=1.0,
)


def backend(name: str, reason: str = "") -> Backend:
    return Backend(name, name.title(), lambda _: reason, lambda _: None, lambda _: ())


FAST = backend("fast", "because it is not installed; pip install fast")
SLOW = backend("slow")


def test_auto_takes_the_first_that_works_and_says_why_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_announced", type(choice._announced)())
    caplog.set_level(logging.INFO, "mhff_openmm")
    for _ in range(2):
        assert choose_backend("auto", DEFINITION, (FAST, SLOW)) is SLOW
    assert [record.message for record in caplog.records] == [
        "OpenMM evaluates mhff by backend 'slow' (Slow), the fastest here; not 'fast', because it "
        "is not installed; pip install fast"
    ]


def test_a_named_backend_is_taken_or_refused() -> None:
    assert choose_backend("slow", DEFINITION, (FAST, SLOW)) is SLOW
    with pytest.raises(MHFFError, match=r"^backend 'fast' does not work because it is not inst"):
        choose_backend("fast", DEFINITION, (FAST, SLOW))
    with pytest.raises(MHFFError, match=r"^unknown backend 'best': choose one of auto"):
        choose_backend("best", DEFINITION, (FAST, SLOW))


def test_if_none_works_all_reasons_are_given() -> None:
    other = backend("other", "because it is old; install a newer one")
    with pytest.raises(MHFFError) as caught:
        choose_backend("auto", DEFINITION, (FAST, other))
    assert str(caught.value) == (
        "backend 'fast' does not work because it is not installed; pip install fast; backend "
        "'other' does not work because it is old; install a newer one"
    )


@pytest.mark.parametrize(("form", "first"), [(None, "python"), ("torchscript", "torch")])
def test_scripts_run_fastest_without_python(form: str | None, first: str) -> None:
    model = SourceFile(Path("gone.mhff"), (8).to_bytes(8, "little") + b"{}      ")
    changed = {"program": DEFINITION.program._replace(form=form), "file": model}
    definition = ForceDefinition(**{**vars(DEFINITION), **changed})
    assert choice.backends_by_speed(definition)[0].name == first


def installed(monkeypatch: pytest.MonkeyPatch, openmm: str, **distributions: str) -> None:
    """Pretend that these versions are installed."""
    known = {name.replace("_", "-"): version for name, version in distributions.items()}
    fake = SimpleNamespace(version=SimpleNamespace(short_version=openmm))
    for module in (plugin, python_force):
        monkeypatch.setattr(module, "openmm", fake)
    monkeypatch.setattr(plugin, "installed_version", known.get)


@pytest.mark.parametrize(
    ("openmm", "distributions", "reason"),
    [
        ("8.6.1", {}, "because the plug-in openmm-torch is not installed"),
        ("8.3.1", {"openmmtorch": "1.5"}, "because OpenMM 8.3.1 and openmmtorch 1.5 do not work"),
        ("8.5.2", {"openmmtorch": "1.5"}, ""),
        ("8.4.0.post2", {"acellera_openmmtorch_cpu": "1.10"}, ""),
        ("8.6.0", {"openmmtorch": "1.5"}, "because OpenMM 8.6.0 and openmmtorch 1.5 end the proc"),
        ("8.7", {"acellera_openmmtorch_cpu": "1.10"}, "because OpenMM 8.7 and acellera-openmmt"),
        ("8.6.1", {"openmmtorch": "1.6"}, ""),
    ],
)
def test_broken_combinations_are_recognised_without_importing(
    monkeypatch: pytest.MonkeyPatch, openmm: str, distributions: dict[str, str], reason: str
) -> None:
    installed(monkeypatch, openmm, **distributions)
    assert plugin.why_not_installed()[: len(reason) or None] == reason


@pytest.mark.parametrize(
    ("openmm", "subset", "reason"),
    [
        ("8.6.1", (0, 1), ""),
        ("8.5.2", None, ""),
        ("8.5.2", (0, 1), "because PythonForce of OpenMM 8.5.2 cannot act on some particles only"),
        ("8.4.0.post2", None, "because OpenMM 8.4.0.post2 has no PythonForce; install OpenMM 8.6"),
    ],
)
def test_python_force_by_version(
    monkeypatch: pytest.MonkeyPatch, openmm: str, subset: Any, reason: str
) -> None:
    installed(monkeypatch, openmm)
    definition = ForceDefinition(**{**vars(DEFINITION), "subset": subset})
    assert python_force.why_not(definition)[: len(reason) or None] == reason


class PythonTorchForce:
    """The interface that openmm-torch publishes: it calls the function with State and tensor."""

    def __init__(self, computation: Any, parameters: dict[str, float], particles: list[int]):
        self.computation = computation
        self.parameters = parameters
        self.particles = particles

    def evaluate(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = positions[self.particles] if self.particles else positions
        energy, forces = self.computation("state", chosen.requires_grad_())
        assert energy.item() is not None
        return energy, forces


class Computation:
    """In place of `MHFFComputation`: forces are positions, and the energy is their sum."""

    def evaluate(self, state: str, positions: Any) -> tuple[float, np.ndarray]:
        assert state == "state"
        return float(positions().sum()), positions() * 2


@pytest.mark.parametrize("subset", [None, (2, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_python_torch_force_by_its_published_interface(
    monkeypatch: pytest.MonkeyPatch, subset: Any, dtype: torch.dtype
) -> None:
    stand_in = SimpleNamespace(PythonTorchForce=PythonTorchForce)
    monkeypatch.setattr(python_torch_force, "import_plugin", lambda: stand_in)
    monkeypatch.setattr(python_torch_force, "why_not_installed", lambda: "")
    monkeypatch.setattr(python_torch_force, "computation_of", lambda _: Computation())
    definition = ForceDefinition(**{**vars(DEFINITION), "subset": subset})
    assert python_torch_force.why_not(definition) == ""
    force = python_torch_force.make(definition)
    assert isinstance(force.computation, TensorComputation)
    positions = torch.arange(9, dtype=dtype).reshape(3, 3)
    energy, forces = force.evaluate(positions.clone())
    seen = positions if subset is None else positions[[2, 0]]
    assert (energy.shape, energy.item()) == ((), seen.sum().item())
    assert forces.dtype is torch.float64
    assert torch.equal(forces, 2 * seen.double())


def test_an_openmm_torch_without_python_torch_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_torch_force, "import_plugin", SimpleNamespace)
    monkeypatch.setattr(python_torch_force, "why_not_installed", lambda: "")
    assert "has no PythonTorchForce" in python_torch_force.why_not(DEFINITION)
