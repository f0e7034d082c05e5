"""The container of a `.model` file: torch's own are read, and no change of a single bit goes
unnoticed.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from models import random_model
from stand_in import coupling_code, saved, scripted, stand_in_model
from torch_archive import archive, members

from mhff.errors import MHFFError
from mhff.interop.torchfile.archive import Archive
from mhff.interop.torchfile.modules import read_model_file
from mhff.interop.torchfile.refusals import DamagedError

WITHOUT_IN_OLD_FILES = (
    "byteorder",
    ".format_version",
    ".storage_alignment",
    ".data/serialization_id",
)


def small() -> bytes:
    """A file as small as they get, with an empty storage."""
    module = torch.nn.Linear(1, 1)
    module.register_buffer("empty", torch.zeros(0))
    return saved(module)


def refusal(content: bytes) -> str:
    with pytest.raises(DamagedError) as caught:
        Archive(bytearray(content))
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [small(), saved(stand_in_model()), saved({})],
    ids=["small", "stand-in", "dictionary"],
)
def test_members_are_those_of_the_file(content: bytes) -> None:
    found = Archive(content)
    assert {f"archive/{name}": bytes(data) for name, data in found.members.items()} == dict(
        members(content)
    )
    assert found.compressed == set()


def test_the_tests_write_archives_as_torch_does() -> None:
    content = saved(stand_in_model())
    assert archive(members(content)) == content


def test_files_of_torch_1_13_are_read() -> None:
    """They have the same layout and fewer members."""
    old = [
        part
        for part in members(small())
        if part[0].removeprefix("archive/") not in WITHOUT_IN_OLD_FILES
    ]
    assert len(old) < len(members(small()))
    assert Archive(archive(old)).members.keys() == {
        name.removeprefix("archive/") for name, _ in old
    }


def test_the_folder_may_have_any_name() -> None:
    parts = [
        (name.replace("archive", "größer than v1.5", 1), data) for name, data in members(small())
    ]
    assert "data.pkl" in Archive(archive(parts)).members


def test_every_bit_is_checked() -> None:
    content = bytearray(small())
    for position in range(len(content)):
        for bit in range(8):
            content[position] ^= 1 << bit
            with pytest.raises(DamagedError):
                Archive(content)
            content[position] ^= 1 << bit
    Archive(content)


def test_every_length_is_checked() -> None:
    content = small()
    for length in range(len(content)):
        with pytest.raises(DamagedError):
            Archive(content[:length])
        with pytest.raises(DamagedError):
            Archive(content + content[:length] if length else content[1:])


def test_data_is_not_copied() -> None:
    content = bytearray(saved(torch.nn.Linear(2000, 100)))
    largest = max(Archive(content).members.values(), key=len)
    assert len(largest) == 800_000
    assert largest.obj is content


def test_compressed_code_is_listed_and_not_inflated() -> None:
    found = Archive(coupling_code())
    assert found.compressed
    assert all(name.startswith("code/") for name in found.compressed)
    assert "data.pkl" in found.members
    assert not found.compressed & found.members.keys()


def test_only_code_may_be_compressed() -> None:
    script = coupling_code()
    name = next(name for name, _ in members(script) if "/code/" in name)
    renamed = script.replace(name.encode(), name.replace("/code/", "/cade/").encode())
    assert "compressed" in refusal(renamed)


@pytest.mark.parametrize(
    "name", ["../x", "a/../x", "/x", "a//x", "a\\x", "a\nx", "a\0x", ".", "..", "x/"]
)
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    sentence = refusal(archive([*members(small()), (f"archive/{name}", b"x")]))
    assert "a member with the name" in sentence
    assert "\n" not in sentence


def test_two_members_of_one_name_are_refused() -> None:
    parts = members(small())
    assert "two members 'version'" in refusal(archive([*parts, ("archive/version", b"4\n")]))


def test_something_between_members_is_refused() -> None:
    parts = members(small())
    whole, first = archive(parts), archive(parts[:1])
    gap = whole.index(b"PK\x03\x04", 4)
    assert first[:gap] == whole[:gap]
    assert "its end is not" in refusal(whole[:gap] + b"\0" * 64 + whole[gap:])


# other files that people have


def sentence(path: Path) -> str:
    with pytest.raises(MHFFError) as caught:
        read_model_file(path)
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
    assert "is a compiled (TorchScript) model; give the .model file" in sentence(
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
    assert "is not a .model file of mace-torch" in sentence(write(b"elements: [H, O]\n"))
    assert "it is empty" in sentence(write(b""))
    assert "no file" in sentence(tmp_path / "missing.model")
    assert "no file" in sentence(tmp_path)
    os.mkfifo(tmp_path / "pipe.model")
    assert "no file" in sentence(tmp_path / "pipe.model")  # and does not wait for a writer


def test_the_other_byte_order_is_refused(write: Callable[[bytes], Path]) -> None:
    parts = [
        (name, b"big" if name.endswith("/byteorder") else data) for name, data in members(small())
    ]
    assert "another byte order" in sentence(write(archive(parts)))


def test_a_file_of_many_gigabytes_is_refused_unread(write: Callable[[bytes], Path]) -> None:
    path = write(b"PK\x03\x04")
    os.truncate(path, 5 * 2**30)  # sparse: takes no space
    assert "has 5368709120 bytes" in sentence(path)
