"""The library of kernels that a script carries: found in the XML of a System, refused elsewhere."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch

from mhff import MHFFError
from mhff.capabilities import Capabilities
from mhff.heads import Head, Heads
from mhff.modelfile import UNITS
from mhff.ops.cpu.levels import instructions
from mhff.options import CompleteOptions, Form, Precision
from mhff_deploy.artefact.compatibility import processor
from mhff_deploy.artefact.content import Manifest, Tables
from mhff_openmm import read_system
from mhff_openmm.script import kernels
from mhff_openmm.script.kernels import library_as_tensor, load_libraries

LIBRARY = bytes(range(256)) * 100


def manifest(torch_version: str = torch.__version__) -> Manifest:
    return Manifest(
        target="cache",
        options=CompleteOptions(
            precision=Precision.FLOAT32, form=Form.TORCHSCRIPT, table_error=1e-6
        ),
        capabilities=Capabilities(
            heads=Heads([Head(name="a")]),
            elements=("H",),
            r_max=4.0,
            n_layers=2,
            precision=Precision.FLOAT32,
        ),
        units=UNITS,
        model_sha256="0" * 64,
        torch_version=torch_version,
        mhff_version="0",
        kernels="mhff_0123",
        processor=processor("cpu"),
        instructions=instructions(),
        tables=Tables(asked=1e-6),
    )


class Carrier(torch.nn.Module):
    """A module that does nothing but carry a library."""

    def __init__(self, described: Manifest) -> None:
        super().__init__()
        self.register_buffer("kernels", library_as_tensor(LIBRARY, described))

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        return positions.sum()


def xml(described: Manifest) -> str:
    """The part of a System's XML that holds a script."""
    stream = io.BytesIO()
    torch.jit.save(torch.jit.script(Carrier(described)), stream)
    return f'<Force encodedFileContents="{stream.getvalue().hex()}" type="TorchForce"/>'


def test_the_library_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[tuple[bytes, str]] = []
    monkeypatch.setattr(kernels, "load_kernels", lambda *library: loaded.append(library))
    load_libraries(xml(manifest()), "system.xml")
    assert loaded == [(LIBRARY, "mhff_0123")]
    load_libraries("<System/>", "system.xml")
    assert len(loaded) == 1


def test_kernels_of_another_torch_are_refused() -> None:
    with pytest.raises(MHFFError, match=r"'system\.xml' was compiled with torch 2\.9\.1"):
        load_libraries(xml(manifest("2.9.1")), "system.xml")


def test_a_file_that_is_gone_or_no_system(tmp_path: Path) -> None:
    with pytest.raises(MHFFError, match="cannot read"):
        read_system(tmp_path / "gone.xml")
    (tmp_path / "state.xml").write_text("<State/>")
    with pytest.raises(MHFFError, match="expected the XML of a System"):
        read_system(tmp_path / "state.xml")
