"""Files that people may give to the importer and that are not models of mace-torch."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from models import random_model
from stand_in import saved, scripted
from torch_archive import archive, members

from mhff.errors import MHFFError
from mhff.interop.mace.importer import import_model


def sentence(path: Path) -> str:
    with pytest.raises(MHFFError) as caught:
        import_model(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def written(content: bytes) -> Path:
        path = tmp_path / "x.model"
        path.write_bytes(content)
        return path

    return written


def test_other_files_are_named(write: Callable[[bytes], Path], tmp_path: Path) -> None:
    checkpoint = {
        "model": torch.nn.Linear(1, 1).state_dict(),
        "optimizer": {"state": {0: 1}},
        "epoch": 3,
    }
    assert "is a compiled (TorchScript) model; give the file that it was compiled from" in sentence(
        write(scripted(torch.nn.Linear(1, 1)))
    )
    assert "is a checkpoint of a training" in sentence(write(saved(checkpoint)))
    assert "holds a dictionary ('weight', 'bias', ...)" in sentence(
        write(saved(torch.nn.Linear(1, 1).state_dict()))
    )
    assert "holds an empty dictionary" in sentence(write(saved({})))
    assert "has a value of type list where its model belongs" in sentence(write(saved([1])))
    assert "an object 'torch._utils._rebuild_tensor_v2'" in sentence(write(saved(torch.ones(1))))
    assert "before 1.6" in sentence(
        write(saved(torch.nn.Linear(1, 1), _use_new_zipfile_serialization=False))
    )
    assert "before 1.6" in sentence(write(pickle.dumps([1])))
    assert "is a model file of mhff already" in sentence(
        write(random_model("mh1", n_channels=2, n_edge_channels=2).to_bytes())
    )
    assert "was not written by torch.save" in sentence(write(b"elements: [H, O]\n"))
    assert "it is empty" in sentence(write(b""))
    assert "no file" in sentence(tmp_path / "missing.model")
    assert "no file" in sentence(tmp_path)
    os.mkfifo(tmp_path / "pipe.model")
    assert "no file" in sentence(tmp_path / "pipe.model")  # and does not wait for a writer


def test_the_other_byte_order_is_refused(write: Callable[[bytes], Path]) -> None:
    parts = [
        (name, b"big" if name.endswith("/byteorder") else data)
        for name, data in members(saved(torch.nn.Linear(1, 1)))
    ]
    assert "another byte order" in sentence(write(archive(parts)))


def test_a_file_of_many_gigabytes_is_refused_unread(write: Callable[[bytes], Path]) -> None:
    path = write(b"PK\x03\x04")
    os.truncate(path, 5 * 2**30)  # sparse: takes no space
    assert "has 5368709120 bytes" in sentence(path)
