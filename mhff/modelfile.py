"""The model file `.mhff`: data, never code.

A safetensors file. Its tensors are the weights (`weights.<name>`) and the model's constants
(`constants.<name>`: coupling coefficients that the weights mean something together with). Its
metadata has two entries: `mhff`, a JSON object with the format version, architecture, heads, units
and provenance; `sha256`, the checksum of that JSON and of all tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise_tensors

from mhff.errors import MHFFError, listing
from mhff.files import read_file, write_atomically
from mhff.heads import Head, Heads
from mhff.model.config import ModelConfig
from mhff.model.constants import check_constants
from mhff.model.mace import MACE

FORMAT_VERSION = 2
UNITS = {"energy": "eV", "length": "A", "force": "eV/A", "stress": "eV/A^3"}
BUNDLED = {"mini": "mini.mhff"}
"""Models that come with the package, by the name that stands for them wherever a model is asked
for.
"""


@dataclass
class Model:
    """A force field: the network, its heads, and where it came from."""

    network: MACE
    heads: Heads
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.heads.names != self.network.config.heads:
            raise ValueError(f"expected heads {self.network.config.heads}, got {self.heads.names}")

    @property
    def elements(self) -> tuple[str, ...]:
        """Chemical symbols, in the order of the species index."""
        return self.network.config.elements

    @property
    def r_max(self) -> float:
        """Cutoff radius, A."""
        return self.network.config.r_max

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a `.mhff` file whole: a temporary file beside it, then a rename."""
        write_atomically(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Content of the `.mhff` file; the same model always gives the same bytes."""
        tensors = {f"weights.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"constants.{name}": value for name, value in self.network.constants.items()}
        tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        header = json.dumps(
            {
                "format_version": FORMAT_VERSION,
                "architecture": self.network.config.model_dump(mode="json"),
                "heads": [head.model_dump(mode="json") for head in self.heads],
                "units": UNITS,
                "provenance": self.provenance,
            },
            sort_keys=True,
        )
        return _ordered(
            serialise_tensors(tensors, {"mhff": header, "sha256": _checksum(header, tensors)})
        )


def model_path(name: str | os.PathLike[str]) -> Path:
    """Path of a model or artefact; the names in `BUNDLED` stand for the models that come with mhff."""
    if str(name) in BUNDLED and not Path(name).exists():
        return Path(str(files("mhff"))) / "bundled" / BUNDLED[str(name)]
    path = Path(name)
    if not path.is_file():
        raise MHFFError(
            f"no file '{path}': give a model file (.mhff), an artefact, or a bundled model "
            f"({', '.join(BUNDLED)})"
        )
    return path


def is_model_file(path: Path) -> bool:
    """Whether a file looks like safetensors, which `.mhff` files are: 8 bytes of header length,
    then JSON.
    """
    with path.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def load(name: str | os.PathLike[str]) -> Model:
    """Read a `.mhff` file, or a bundled model by its name.

    Raises MHFFError, in one sentence, for a file that is missing, truncated, damaged, foreign or
    newer than this mhff.
    """
    path = model_path(name)
    return from_bytes(read_file(path), str(path))


def from_bytes(content: bytes, name: str) -> Model:
    """The model in the content of a `.mhff` file; `name` is for error messages."""
    header, checksum = _metadata(content, name)
    try:
        tensors = parse_tensors(content)
        found = _checksum(header, tensors)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise MHFFError(
            f"'{name}' is truncated or damaged ({_reason(error)}); get the file again"
        ) from error
    if found != checksum:
        raise MHFFError(
            f"'{name}' is damaged: its checksum does not fit its content; get the file again"
        )
    try:
        return _build(json.loads(header), tensors)
    except (MHFFError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise MHFFError(
            f"'{name}' does not hold a model that this mhff can read ({_reason(error)}); write it "
            "again"
        ) from error


def _build(fields: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Model:
    """The model of a header and its tensors; every disagreement between them raises."""
    config = ModelConfig.model_validate(fields["architecture"])
    heads = Heads([Head.model_validate(head) for head in fields["heads"]])
    provenance = fields["provenance"]
    if not isinstance(provenance, dict):
        raise TypeError(f"expected provenance as an object, got {type(provenance).__name__}")
    constants, weights = _with_prefix(tensors, "constants."), _with_prefix(tensors, "weights.")
    return assemble(config, constants, weights, heads, provenance)


def assemble(
    config: ModelConfig,
    constants: Mapping[str, torch.Tensor],
    weights: Mapping[str, torch.Tensor],
    heads: Heads,
    provenance: dict[str, Any],
) -> Model:
    """A model of given weights (`MACE.state_dict`) and constants; every disagreement between them
    raises ValueError or RuntimeError.
    """
    check_constants(config, constants)
    with torch.device(
        "meta"
    ):  # shapes without numbers: settings may claim any size, the weights must have it
        network = MACE(config, constants)
    for (
        name,
        expected,
    ) in network.state_dict().items():  # torch 2.9 takes the first of several numbers for one
        if name in weights and weights[name].shape != expected.shape:
            raise ValueError(
                f"size mismatch for {name}: {list(weights[name].shape)}, not {list(expected.shape)}"
            )
    network.load_state_dict(weights, assign=True)
    dtypes = {
        value.dtype for key, value in weights.items() if not key.startswith("reference_energies.")
    }
    if dtypes not in ({torch.float32}, {torch.float64}):
        raise ValueError(
            f"expected weights in float32 or in float64, got {listing(sorted(map(str, dtypes)))}"
        )
    return Model(network.to(network.dtype).requires_grad_(False), heads, provenance)


def _reason(error: Exception) -> str:
    """What went wrong, in one short line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'settings'}: {first['msg']}"
    text = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return textwrap.shorten(text, 200)


def read_header(name: str | os.PathLike[str]) -> dict[str, Any]:
    """The JSON object of a `.mhff` file, without building the model."""
    path = model_path(name)
    header, _ = _metadata(read_file(path), str(path))
    result: dict[str, Any] = json.loads(header)
    return result


def _metadata(content: bytes, name: str) -> tuple[str, str]:
    """JSON header and checksum of a file; refuses what is not ours."""
    length = int.from_bytes(content[:8], "little")
    if content[8:9] != b"{":
        raise MHFFError(
            f"'{name}' is not a .mhff model file; give one made by `mhff train` or `mhff "
            "import-mace`"
        )
    if len(content) < 8 + length:
        raise MHFFError(
            f"'{name}' is truncated: its header alone is {length} bytes, the file {len(content)}; "
            "get the file again"
        )
    try:
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
        header, checksum = metadata["mhff"], metadata["sha256"]
        version = json.loads(header)["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MHFFError(
            f"'{name}' is not a .mhff model file: it has no mhff header; give one made by `mhff "
            "train`"
        ) from error
    if version != FORMAT_VERSION:
        remedy = "make the file again" if version == 1 else "update mhff"
        raise MHFFError(
            f"'{name}' has format version {version}, this mhff reads version {FORMAT_VERSION}; "
            f"{remedy}"
        )
    return header, checksum


def _ordered(content: bytes) -> bytes:
    """The same file with its metadata in alphabetical order; safetensors itself writes them in
    random order.
    """
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    table["__metadata__"] = dict(sorted(table["__metadata__"].items()))
    header = json.dumps(table, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # tensors stay aligned
    return len(header).to_bytes(8, "little") + header + content[8 + length :]


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _checksum(header: str, tensors: Mapping[str, torch.Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
