"""Model files come back bit for bit; all other content is refused in one sentence."""

from __future__ import annotations

import json
import os
import pickle
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from models import random_model
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors
from tolerances import SINGLE_PRECISION, assert_close_to_scale

import mhff
from mhff.errors import MHFFError
from mhff.graph import make_graph
from mhff.modelfile import UNITS, Model, from_bytes, header_from_bytes, model_path, read_header
from mhff.tensorfile import FORMAT_VERSION, content_checksum

SMALL = {
    "n_channels": 2,
    "n_edge_channels": 2,
    "l_max": 2,
    "correlation": 2,
    "elements": ("H", "O"),
    "radial_mlp": (3,),
}


@pytest.fixture(scope="module")
def model() -> Model:
    model = random_model("mh1", **SMALL)
    model.provenance["data"] = {"structures": 12, "note": "größer als [nichts]"}
    return model


@pytest.fixture(scope="module")
def content(model: Model) -> bytes:
    return model.to_bytes()


Change = Callable[[dict[str, Any], dict[str, torch.Tensor]], None]
"""Changes the header and the tensors of a file."""


def nested(levels: int) -> dict[str, Any]:
    """Dictionaries in dictionaries."""
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def refusal(content: bytes) -> str:
    """The sentence with which content is refused."""
    with pytest.raises(MHFFError) as caught:
        from_bytes(content, "M.mhff")
    sentence = str(caught.value)
    assert sentence.startswith("'M.mhff' ")
    assert "\n" not in sentence
    assert len(sentence) < 400
    return sentence


def forged(content: bytes, change: Change) -> bytes:
    """The file with another header or tensors, and a checksum that fits as an attacker makes it."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["mhff"])
    tensors = parse_tensors(content)
    change(header, tensors)
    text = json.dumps(header)
    return serialise_tensors(tensors, {"mhff": text, "sha256": content_checksum(text, tensors)})


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_round_trip(dtype: torch.dtype, tmp_path: Path) -> None:
    model = random_model("mp", **SMALL)
    model.network.to(dtype)
    path = tmp_path / "deeper" / "M.mhff"
    model.save(path)
    loaded = mhff.load(path)
    expected, found = model.network.state_dict(), loaded.network.state_dict()
    assert list(found) == list(expected)
    assert all(
        torch.equal(found[name], expected[name]) and found[name].dtype == expected[name].dtype
        for name in expected
    )
    constants = loaded.network.constants
    assert all(
        torch.equal(constants[name], value) for name, value in model.network.constants.items()
    )
    assert loaded.network.config == model.network.config
    assert list(loaded.heads) == list(model.heads)
    assert loaded.to_bytes() == path.read_bytes()


def test_what_a_loaded_model_says(model: Model, content: bytes) -> None:
    loaded = from_bytes(content, "M.mhff")
    assert loaded.elements == ("H", "O")
    assert loaded.r_max == 4.0
    assert loaded.heads.names == ("materials", "surfaces", "molecules")
    assert loaded.provenance == model.provenance
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())


def test_a_loaded_model_computes_the_same(model: Model, content: bytes) -> None:
    graph = make_graph(
        edge_vectors=torch.tensor([[0.0, 0.3, 1.2], [0.0, -0.3, -1.2]]),
        edge_index=torch.tensor([[0, 1], [1, 0]]),
        species=torch.tensor([0, 1]),
    )
    loaded = from_bytes(content, "M.mhff").network
    # float32 tensors at other addresses take other vector instructions
    assert_close_to_scale(loaded(graph).detach(), model.network(graph).detach(), SINGLE_PRECISION)


def test_constants_of_the_file_are_used(content: bytes) -> None:
    """Weights mean something only together with the coupling constants they were trained with."""

    def rotate(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        tensors["constants.product.0.basis"] *= -1

    loaded = from_bytes(forged(content, rotate), "M.mhff").network
    assert torch.equal(
        loaded.layers[0].product.basis,
        -from_bytes(content, "M.mhff").network.layers[0].product.basis,
    )


def test_the_same_model_gives_the_same_bytes(model: Model, content: bytes) -> None:
    assert all(model.to_bytes() == content for _ in range(8))


@pytest.mark.parametrize(
    "provenance", [nested(480), {"a": object()}, {"a": torch.zeros(2)}, {1: "a"}]
)
def test_a_provenance_that_is_not_json_is_not_written(
    model: Model, provenance: dict[str, Any]
) -> None:
    with pytest.raises(MHFFError, match=r"^this model cannot be written \(.*provenance"):
        Model(model.network, model.heads, provenance).to_bytes()


def test_read_header(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "M.mhff"
    path.write_bytes(content)
    header = read_header(path)
    assert header.architecture.elements == ("H", "O")
    assert [head.name for head in header.heads] == ["materials", "surfaces", "molecules"]
    assert (header.units, header.dtype) == (UNITS, "float32")
    assert header == from_bytes(content, "M.mhff").header == header_from_bytes(content, "M.mhff")
    assert read_header("mini").architecture == mhff.load("mini").network.config


def test_a_header_is_as_strict_as_the_model(content: bytes) -> None:
    for damaged in (content[:-1], content[:-4] + b"\0\0\0\0"):
        with pytest.raises(MHFFError, match="damaged"):
            header_from_bytes(damaged, "M.mhff")
    with pytest.raises(MHFFError, match="expected the heads materials, surfaces, molecules, got"):
        header_from_bytes(forged(content, HOSTILE["heads renamed"]), "M.mhff")


def test_truncated(content: bytes) -> None:
    lengths = {*range(0, 64), *range(64, len(content), 997), len(content) - 1}
    for length in lengths:
        refusal(content[:length])
    assert "is truncated: its header alone is" in refusal(content[:200])
    assert "is truncated or damaged" in refusal(content[:-1])


def test_more_than_the_file(content: bytes) -> None:
    assert "is truncated or damaged" in refusal(content + b"\0")


@pytest.mark.parametrize("bits", [0x01, 0x80, 0xFF])
def test_flipped_bytes(content: bytes, bits: int) -> None:
    header = int.from_bytes(content[:8], "little")
    positions = {
        *range(0, 80),
        *range(80, 8 + header, 37),
        *range(8 + header, len(content), 1009),
        len(content) - 1,
    }
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= bits
        refusal(bytes(damaged))


def test_damage_to_a_weight_is_noticed(content: bytes) -> None:
    damaged = bytearray(content)
    damaged[-4] ^= 1
    assert "is damaged: its checksum does not match its content; get the file again" in refusal(
        bytes(damaged)
    )


class Bomb:
    """Pickled, this creates a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def foreign_files(folder: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(folder / "archive", "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(Bomb(folder / "exploded")))
    torch.save({"model": Bomb(folder / "exploded")}, folder / "checkpoint")
    return {
        "empty": b"",
        "text": b"ITEM: TIMESTEP\n0\n" * 10,
        "json": json.dumps({"format_version": FORMAT_VERSION, "heads": []}).encode(),
        "json that looks like safetensors": b'[1, 2, 3{"a": 1}]',
        "pickle": pickle.dumps(Bomb(folder / "exploded")),
        "zip": (folder / "archive").read_bytes(),
        "torch checkpoint": (folder / "checkpoint").read_bytes(),
        "safetensors": serialise_tensors({"a": torch.zeros(3)}),
        "safetensors of others": serialise_tensors({"a": torch.zeros(3)}, {"format": "pt"}),
        "no header after all": serialise_tensors(
            {"a": torch.zeros(3)}, {"mhff": "[]", "sha256": ""}
        ),
        "huge header length": (2**63).to_bytes(8, "little") + b"{" + b" " * 50,
        "deep nesting": (200_000).to_bytes(8, "little") + b'{"a":' + b"[" * 200_000,
        "deep nesting inside": serialise_tensors({}, {"mhff": "[" * 200_000, "sha256": ""}),
    }


def test_foreign_files_are_refused_and_nothing_in_them_runs(tmp_path: Path) -> None:
    for name, content in foreign_files(tmp_path).items():
        sentence = refusal(content)
        assert "is not a .mhff model file" in sentence or "is truncated" in sentence, name
    assert not (tmp_path / "exploded").exists()


def test_another_version(content: bytes) -> None:
    def newer(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        header["format_version"] = FORMAT_VERSION + 1

    assert (
        refusal(forged(content, newer))
        == "'M.mhff' has format version 3, but this mhff reads version 2; update mhff"
    )


def in_architecture(name: str, value: Any) -> Change:
    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        header["architecture"][name] = value

    return change


def in_header(name: str, value: Any) -> Change:
    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        header[name] = value

    return change


def in_tensors(name: str, value: torch.Tensor | None) -> Change:
    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        tensors.pop(name)
        if value is not None:
            tensors[name] = value

    return change


def in_names(name: str) -> Change:
    """The second head gets another name, in both places."""

    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        header["heads"][1]["name"] = header["architecture"]["heads"][1] = name

    return change


def in_heads(field: str, value: Any) -> Change:
    def change(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        header["heads"][0][field] = value

    return change


HOSTILE: dict[str, Change] = {
    "no architecture": in_header("architecture", None),
    "architecture is a list": in_header("architecture", [1]),
    "no heads": in_header("heads", []),
    "heads is a number": in_header("heads", 3),
    "heads are numbers": in_header("heads", [1, 2, 3]),
    "heads repeated": in_header("heads", [{"name": "materials"}] * 3),
    "heads renamed": in_header("heads", [{"name": "a"}, {"name": "b"}, {"name": "c"}]),
    "heads of another number": in_architecture("heads", ["materials"]),
    "unknown field of a head": in_header("heads", [{"name": "materials", "code": "x"}]),
    "provenance is a list": in_header("provenance", []),
    "provenance nested deeply": in_header("provenance", nested(480)),
    "lists in provenance nested deeply": in_header("provenance", {"a": [nested(31)]}),
    "other units": in_header("units", UNITS | {"energy": "kcal/mol"}),
    "no units": in_header("units", None),
    "unknown field": in_header("code", "x"),
    "head with control characters": in_names("\x1b[2J"),
    "head with a line break": in_names("a\nb"),
    "head that turns the text around": in_names("\u202eb"),
    "head with half a character": in_names("\ud800"),
    "head without a name": in_names(""),
    "level of theory with control characters": in_heads("level_of_theory", "PBE\x1b]0;x\x07"),
    "element with control characters": in_heads("elements", ["H\x1b[2J"]),
    "heads repeated in the architecture too": in_names("materials"),
    "unknown setting": in_architecture("flavour", "x"),
    "wrong type": in_architecture("n_layers", "two"),
    "negative channels": in_architecture("n_channels", -8),
    "no channels": in_architecture("n_channels", 0),
    "enormous channels": in_architecture("n_channels", 1_000_000),
    "more than enormous channels": in_architecture("n_channels", 10**15),
    "enormous edge channels": in_architecture("n_edge_channels", 1_000_000),
    "enormous radial network": in_architecture("radial_mlp", [10**9, 10**9]),
    "enormous readout": in_architecture("readout_width", 1_000_000),
    "enormous number of layers": in_architecture("n_layers", 10**12),
    "16 layers": in_architecture("n_layers", 16),
    "enormous degree": in_architecture("l_max", 10**9),
    "degree 11": in_architecture("l_max", 11),
    "enormous radial basis": in_architecture("n_radial", 10**12),
    "enormous integer": in_architecture("cutoff_power", 10**400),
    "correlation 4": in_architecture("correlation", 4),
    "tiny cutoff": in_architecture("r_max", 1e-300),
    "few neighbours": in_architecture("avg_num_neighbors", 1e-300),
    "many neighbours": in_architecture("avg_num_neighbors", 1e300),
    "infinite cutoff": in_architecture("r_max", float("inf")),
    "cutoff that is not a number": in_architecture("r_max", float("nan")),
    "negative cutoff": in_architecture("r_max", -1.0),
    "unknown element": in_architecture("elements", ["H", "Xx"]),
    "elements in another order": in_architecture("elements", ["O", "H"]),
    "element repeated": in_architecture("elements", ["H", "H"]),
    "more elements": in_architecture("elements", ["H", "O", "Mg"]),
    "another interaction": in_architecture("interaction", "residual"),
    "unknown interaction": in_architecture("interaction", "__import__"),
    "weight of another shape": in_tensors("weights.layers.0.interaction.alpha", torch.zeros(2)),
    "weight missing": in_tensors("weights.layers.0.interaction.alpha", None),
    "integer weight": in_tensors("weights.layers.0.interaction.alpha", torch.tensor(1)),
    "mixed precision": in_tensors(
        "weights.layers.0.interaction.alpha", torch.tensor(1.0, dtype=torch.float64)
    ),
    "weight that is not finite": in_tensors(
        "weights.layers.0.interaction.alpha", torch.tensor(torch.nan)
    ),
    "constant that is not finite": in_tensors(
        "constants.radial.factor", torch.tensor(torch.inf, dtype=torch.float64)
    ),
    "half precision": in_tensors(
        "weights.layers.0.interaction.alpha", torch.tensor(1.0, dtype=torch.float16)
    ),
    "constant missing": in_tensors("constants.convolution.1", None),
    "constant of another shape": in_tensors("constants.harmonics.2", torch.zeros(2, 2)),
    "indices out of range": in_tensors("constants.product.0.rows", torch.full((10**6,), 10**12)),
    "monomials out of range": lambda header, tensors: tensors[
        "constants.product.0.monomials"
    ].fill_(10**6),
    "negative monomials": lambda header, tensors: tensors["constants.product.0.monomials"].fill_(
        -1
    ),
    "rows out of range": lambda header, tensors: tensors["constants.product.0.rows"].fill_(10**12),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers(name: str, content: bytes) -> None:
    """A checksum does not protect from intent: every claim is checked, and none costs memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sentence = refusal(forged(content, HOSTILE[name]))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert "does not hold a model that this mhff can read (" in sentence
    assert grown < 200_000, f"{grown} kB"


def test_reasons_name_the_setting(content: bytes) -> None:
    assert "(n_channels: Input should be greater than or equal to 1)" in refusal(
        forged(content, HOSTILE["negative channels"])
    )
    assert "(heads: Field required)" in refusal(
        forged(content, lambda header, tensors: header.pop("heads"))
    )
    assert "size mismatch for layers.0.interaction.alpha" in refusal(
        forged(content, HOSTILE["weight of another shape"])
    )


def test_reasons_show_control_characters_as_escapes(content: bytes) -> None:
    def forge(header: dict[str, Any], tensors: Any) -> None:
        header["architecture"]["elements"] = ["H", "\x1b[2J"]

    assert r"expected chemical symbols, got \x1b[2J)" in refusal(forged(content, forge))


@pytest.mark.parametrize("name", ["nothing.mhff", "."])
def test_no_such_file(name: str) -> None:
    with pytest.raises(
        MHFFError,
        match=r"^no file '.*': give a model file \(.mhff\), an artefact, or a bundled model "
        r"\(mini\)$",
    ):
        mhff.load(name)


def test_a_folder_does_not_hide_a_bundled_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mini").mkdir()
    monkeypatch.chdir(tmp_path)
    assert model_path("mini").is_file()


def test_a_failed_write_leaves_what_was_there(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "M.mhff"
    path.write_bytes(b"before")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(MHFFError, match=r"^cannot write '.*M.mhff' \(No space left on device\)"):
        model.save(path)
    assert path.read_bytes() == b"before"
    assert os.listdir(tmp_path) == ["M.mhff"]


def test_an_interrupted_write_leaves_what_was_there(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.save(tmp_path / "M.mhff")
    assert os.listdir(tmp_path) == []


def test_a_folder_is_not_a_place_to_write(model: Model, tmp_path: Path) -> None:
    (tmp_path / "M.mhff" / "inside").mkdir(parents=True)
    with pytest.raises(MHFFError, match=r"^cannot write"):
        model.save(tmp_path / "M.mhff")
    assert os.listdir(tmp_path) == ["M.mhff"]


@pytest.mark.parametrize("name", [None, 3, b"mini", ["mini"]])
def test_names_of_wrong_types_are_one_sentence(name: Any) -> None:
    with pytest.raises(MHFFError, match=r"^expected a model's path or name, got .*mini"):
        mhff.load(name)
