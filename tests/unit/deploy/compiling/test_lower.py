"""What a model is lowered to, and why not to more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from ase.data import chemical_symbols
from lowered import exact_network
from models import random_model

from mhff import MHFFError
from mhff.files import kernel_folder
from mhff.ops.cpu import build
from mhff.options import CompileOptions, Form, Precision
from mhff_deploy.compiling.build import complete
from mhff_deploy.compiling.lower import (
    Decision,
    decide_kernels,
    decide_tables,
    lower,
    refused_tables,
)
from mhff_deploy.kernels.cpu import CppKernels
from mhff_deploy.lowering.reference import TorchKernels
from mhff_deploy.radial.choice import InexactTablesError

CPU, GPU = torch.device("cpu"), torch.device("cuda")
TAKEN = Decision(True)
DOUBLE = complete(CompileOptions(precision=Precision.FLOAT64, table_error=1e-6))


def test_kernels_and_tables() -> None:
    lowered = lower(random_model("mp", n_channels=8), DOUBLE, kernel_folder())
    assert isinstance(lowered.network.kernels, CppKernels)
    assert lowered.network.dtype == torch.float64
    assert lowered.radial is not None
    assert lowered.network.table_inputs is not None
    assert lowered.n_intervals == 0  # tables are made when there is a program


def test_radial_networks_are_kept_if_tables_were_refused() -> None:
    said: list[str] = []
    refused = refused_tables(InexactTablesError("no table keeps the forces"))
    lowered = lower(random_model("mp", n_channels=8), DOUBLE, kernel_folder(), said.append, refused)
    assert isinstance(lowered.network.kernels, CppKernels)
    assert lowered.radial is None
    assert lowered.network.table_inputs is None
    assert "radial networks are kept, because no table keeps the forces; --table-error" in said[-1]


def test_numbers_of_channels_that_kernels_do_not_take_keep_plain_torch(tmp_path: Path) -> None:
    said: list[str] = []
    single = complete(CompileOptions())
    lowered = lower(random_model("mp"), single, tmp_path, said.append)
    assert isinstance(lowered.network.kernels, TorchKernels)
    assert lowered.network.dtype == lowered.network.kernels.dtype == torch.float32
    assert lowered.n_intervals == 0
    assert "keeping plain torch, because the model's numbers of channels" in said[0]


def test_a_compiler_that_fails_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(build, "FLAGS", ("-std=c++20", "--no-such-flag"))
    sentence = r"the C\+\+ compiler could not make the kernels .*no-such-flag"
    kernels = lower(random_model("mp", n_channels=8), DOUBLE, tmp_path).kernels
    assert kernels is not None
    with pytest.raises(MHFFError, match=sentence) as raised:
        kernels.load()
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    sentence = r"cannot write kernels to '.*kernels' \(Not a directory\); set XDG_CACHE_HOME"
    folder = tmp_path / "file" / "kernels"
    kernels = lower(random_model("mp", n_channels=8), DOUBLE, folder).kernels
    assert kernels is not None
    with pytest.raises(MHFFError, match=sentence):
        kernels.load()


def test_why_a_model_gets_no_kernels() -> None:
    mp = exact_network("mp")
    odd = random_model("mp").network
    assert decide_kernels(mp, CPU, Form.AOTI, TAKEN) == TAKEN
    assert "multiples of 8" in decide_kernels(odd, CPU, Form.AOTI, TAKEN).reason
    assert decide_kernels(odd, GPU, Form.AOTI, TAKEN) == TAKEN
    script = decide_kernels(mp, GPU, Form.TORCHSCRIPT, TAKEN)
    assert "TorchScript cannot hold kernels for GPUs" in script.reason
    exact = decide_kernels(mp, GPU, Form.AOTI, Decision(False, "as asked"))
    assert "need tables and there are none, as asked" in exact.reason


def test_why_a_model_keeps_its_radial_networks() -> None:
    assert decide_tables(exact_network("mp"), 1e-6, CPU) == TAKEN
    assert decide_tables(exact_network("mp"), 0, CPU) == Decision(False, "as asked")
    jumping = exact_network("mh1", apply_cutoff=True)
    assert "do not end smoothly" in decide_tables(jumping, 1e-6, CPU).reason
    elements = tuple(chemical_symbols[1:90])
    many = exact_network("mh1", elements=elements, n_radial=8, radial_mlp=(64, 64, 64))
    assert re.fullmatch(
        "because tables for 89 elements would take . GB; choose some with --elements",
        decide_tables(many, 1e-6, GPU).reason,
    )
    assert decide_tables(many, 1e-6, CPU) == TAKEN
