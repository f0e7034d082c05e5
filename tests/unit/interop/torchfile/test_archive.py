"""The container of torch's files: torch's own are read, and no flipped bit goes unnoticed."""

from __future__ import annotations

import pytest
import torch
from stand_in import coupling_code, saved, stand_in_model
from torch_archive import archive, members

from mhff.interop.torchfile.archive import Archive
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
