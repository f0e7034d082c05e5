"""Artefact files: what damage, truncation and edits do to them."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from manifests import empty_artefact, manifest
from pydantic import ValidationError

from mhff import MHFFError
from mhff_deploy.artefact.content import MANIFEST, Manifest, checksum, is_artefact, read_manifest

Fields = dict[str, Any]
REFUSAL = r"^'a\.pt' [^\n]*; recompile it[^\n]*$"


def members(content: bytes) -> dict[str, bytes]:
    """What an archive holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def places(content: bytes) -> list[slice]:
    """Where the members' bytes lie in an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        infos = archive.infolist()
    found = []
    for info in infos:
        header = content[info.header_offset : info.header_offset + 30]
        start = info.header_offset + 30 + sum(np.frombuffer(header[26:30], dtype="<u2").tolist())
        found.append(slice(start, start + info.compress_size))
    return found


def flipped(content: bytes, position: int) -> bytes:
    return content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]


def with_manifest(artefact: bytes, sign: bool = True, **changes: Any) -> bytes:
    """An artefact with an edited manifest, whose checksum fits or does not."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as new:
        for name, content in members(artefact).items():
            if name.endswith(MANIFEST):
                fields = json.loads(content) | changes
                if sign:
                    fields["program_sha256"] = checksum(artefact, fields)
                content = json.dumps(fields).encode()
            new.writestr(name, content)
    return stream.getvalue()


def sentence_or_manifest(content: bytes) -> str | Manifest:
    try:
        return read_manifest(content, "a.pt")
    except MHFFError as error:
        return str(error)


def test_a_change_of_any_byte_of_any_member_is_refused() -> None:
    content = empty_artefact()
    for place in places(content):
        for position in range(place.start, place.stop):
            with pytest.raises(MHFFError, match=REFUSAL):
                read_manifest(flipped(content, position), "a.pt")


def test_a_change_of_any_other_byte_is_refused_or_does_not_matter() -> None:
    """Zip archives hold some numbers twice and some only for display."""
    content = empty_artefact()
    intact = read_manifest(content, "a.pt")
    inside = {n for place in places(content) for n in range(place.start, place.stop)}
    outcomes = []
    for position in sorted(set(range(len(content))) - inside):
        damaged = flipped(content, position)
        outcome = sentence_or_manifest(damaged)
        if isinstance(outcome, str):
            assert re.match(REFUSAL, outcome), outcome
        else:
            assert outcome == intact
            assert members(damaged) == members(content)
        outcomes.append(outcome)
    refused = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert len(refused) > len(outcomes) / 2


def test_damage_of_a_real_program_is_refused(artefact: bytes) -> None:
    rng = np.random.default_rng(0)
    for place in places(artefact):
        for position in (
            rng.integers(place.start, place.stop, 3) if place.stop > place.start else ()
        ):
            with pytest.raises(MHFFError, match=REFUSAL):
                read_manifest(flipped(artefact, int(position)), "a.pt")


@pytest.mark.parametrize("length", [0, 4, 100, 10_000, -1])
def test_truncation_is_refused(artefact: bytes, length: int) -> None:
    with pytest.raises(MHFFError, match=r"^'a\.pt' is truncated or not an artefact of mhff"):
        read_manifest(artefact[:length], "a.pt")


@pytest.mark.parametrize(
    "changes",
    [{"capabilities": {}}, {"model_sha256": "beef"}, {"target": "lammps"}, {"mhff_version": "9"}],
)
def test_an_edited_manifest_is_refused(changes: dict[str, Any]) -> None:
    content = empty_artefact()
    read_manifest(with_manifest(content), "a.pt")
    with pytest.raises(
        MHFFError,
        match=r"^'a\.pt' is damaged: its checksum does not match its content; recompile it$",
    ):
        read_manifest(with_manifest(content, sign=False, **changes), "a.pt")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"format_version": 1},
            r"'a\.pt' has artefact format version 1, but this mhff reads version \d+; recompile",
        ),
        (
            {"capabilities": {"heads": "all"}},
            "has a manifest that this mhff cannot read; recompile",
        ),
        ({"unheard_of": 1}, "has a manifest that this mhff cannot read; recompile"),
    ],
)
def test_manifests_of_another_mhff_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MHFFError, match=sentence):
        read_manifest(with_manifest(empty_artefact(), **changes), "a.pt")


def test_manifests_without_mixes_are_read() -> None:
    """The first files of this format have none."""
    fields = manifest().model_dump(mode="json")
    del fields["options"]["mix"], fields["capabilities"]["mixes"]
    old = {name: fields[name] for name in ("options", "capabilities")}
    assert read_manifest(with_manifest(empty_artefact(), **old), "a.pt").capabilities.mixes == ()


def test_members_that_inflate_are_not_read() -> None:
    stream = io.BytesIO(empty_artefact())
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(100_000_000))
    with pytest.raises(MHFFError, match=r"truncated or not an artefact of mhff \(members of"):
        read_manifest(stream.getvalue(), "a.pt")


def test_what_is_an_artefact() -> None:
    content = empty_artefact()
    assert is_artefact(content)
    assert is_artefact(content[:-1]), "a damaged one is one, so that the refusal says so"
    for other in (b"", b"PK\x03\x04", b"text" + content):
        assert not is_artefact(other)


def nested(levels: int) -> Fields:
    value: Fields = {}
    for _ in range(levels):
        value = {"a": value}
    return value


FALSE_CLAIMS: dict[str, Callable[[Fields], object]] = {
    "other units": lambda fields: fields["units"].update(energy="kcal/mol"),
    "deep provenance": lambda fields: fields["provenance"].update(nested(480)),
    "a tiny cutoff": lambda fields: fields["capabilities"].update(r_max=1e-300),
    "heads with control characters": lambda fields: fields["capabilities"]["heads"][0].update(
        name="\x1b[2J"
    ),
    "a mix of heads that it lacks": lambda fields: fields["capabilities"].update(
        mixes=[{"name": "a", "weights": {"dft": 1.0}}]
    ),
    "a mix with control characters": lambda fields: fields["capabilities"].update(
        mixes=[{"name": "\x1b[2J", "weights": {"gas": 1.0}}]
    ),
}


@pytest.mark.parametrize("name", FALSE_CLAIMS)
def test_false_claims_are_refused(name: str) -> None:
    """No honest program makes them, whatever its checksum says."""
    fields = manifest().model_dump(mode="json")
    Manifest.model_validate(fields)
    FALSE_CLAIMS[name](fields)
    with pytest.raises(ValidationError):
        Manifest.model_validate(fields)
