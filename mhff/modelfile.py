"""The model file `.mhff`: data, never code.

A file of tensors with a header (`mhff.tensorfile`). Its tensors are the weights (`weights.<name>`)
and the constants that the weights depend on (`constants.<name>`, see `mhff.model.constants`). Its
header has the fields of `ModelHeader` except the precision, which follows from the tensors.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticSerializationError

from mhff.errors import MHFFError, listing, printable
from mhff.files import StrPath, read_file, write_atomically
from mhff.heads import Head, Heads
from mhff.model.config import ModelConfig
from mhff.model.constants import check_constants
from mhff.model.mace import MACE
from mhff.tensorfile import looks_like_tensors, pack, unpack

UNITS = {"energy": "eV", "length": "A", "force": "eV/A", "stress": "eV/A^3"}
BUNDLED = {"mini": "mini.mhff"}
"""Models that come with the package, by name."""
MAX_PROVENANCE_DEPTH = 32
"""Levels of nesting in the provenance; a training run needs five."""
IN_FLOAT64 = "reference_energies."
"""Weights with this prefix are float64 in models of either precision."""


def _known_units(units: dict[str, str]) -> dict[str, str]:
    if units != UNITS:
        raise ValueError(f"expected {UNITS}, got {units}")
    return units


def _not_too_deep(provenance: object) -> object:
    if _deeper_than(provenance, MAX_PROVENANCE_DEPTH):
        raise ValueError(f"expected at most {MAX_PROVENANCE_DEPTH} levels of nesting")
    return provenance


Units = Annotated[dict[str, str], AfterValidator(_known_units)]
"""The units of a file's quantities, which must be `UNITS`."""
Provenance = Annotated[dict[str, Any], BeforeValidator(_not_too_deep)]
"""The origin of a model: a JSON object of limited depth."""


class ModelHeader(BaseModel):
    """The header of a model file, readable without building the network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: ModelConfig
    heads: tuple[Head, ...]
    units: Units
    provenance: Provenance
    dtype: Literal["float32", "float64"]
    """Precision of the weights; it follows from the tensors."""

    @model_validator(mode="after")
    def _heads_of_architecture(self) -> ModelHeader:
        names = tuple(head.name for head in self.heads)
        if names != self.architecture.heads:
            raise ValueError(
                f"expected the heads {listing(self.architecture.heads)}, got {listing(names)}"
            )
        return self


@dataclass
class Model:
    """A force field: the network, its heads, and its provenance."""

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

    @property
    def header(self) -> ModelHeader:
        """Header of the model's file; raises MHFFError if the provenance is not JSON."""
        fields = {
            "architecture": self.network.config,
            "heads": tuple(self.heads),
            "units": UNITS,
            "provenance": self.provenance,
            "dtype": str(self.network.dtype).removeprefix("torch."),
        }
        try:
            return ModelHeader.model_validate(fields)
        except ValidationError as error:
            raise MHFFError(f"this model cannot be written ({_reason(error)})") from error

    def save(self, path: StrPath) -> None:
        """Write a `.mhff` file, whole or not at all."""
        write_atomically(path, self.to_bytes())

    def to_bytes(self) -> bytes:
        """Content of the `.mhff` file; the same model always gives the same bytes."""
        tensors = {f"weights.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"constants.{name}": value for name, value in self.network.constants.items()}
        try:
            fields = self.header.model_dump(mode="json", exclude={"dtype"})
        except PydanticSerializationError as error:
            raise MHFFError(
                f"this model cannot be written ({error}); mend its provenance"
            ) from error
        return pack(fields, tensors)


def model_path(name: StrPath) -> Path:
    """Path of a model or artefact, or of a bundled model by its name in `BUNDLED`.

    Raises MHFFError if there is no such file.
    """
    if not isinstance(name, (str, os.PathLike)):
        raise MHFFError(
            f"expected a model's path or name, got {type(name).__name__}; give a model file "
            f"(.mhff), an artefact, or a bundled model ({', '.join(BUNDLED)})"
        )
    path = Path(name)
    if str(name) in BUNDLED and not path.is_file():
        return Path(str(files("mhff"))) / "bundled" / BUNDLED[str(name)]
    try:
        found = path.is_file()
    except OSError as error:
        raise MHFFError(f"cannot read '{path}' ({error.strerror}); check the path") from error
    if not found:
        raise MHFFError(
            f"no file '{path}': give a model file (.mhff), an artefact, or a bundled model "
            f"({', '.join(BUNDLED)})"
        )
    return path


def is_model_file(path: Path) -> bool:
    """Whether a file looks like safetensors, which `.mhff` files are."""
    try:
        with path.open("rb") as stream:
            return looks_like_tensors(stream.read(9))
    except OSError as error:
        raise MHFFError(f"cannot read '{path}' ({error.strerror}); check the path") from error


def load(name: StrPath) -> Model:
    """Read a `.mhff` file, or a bundled model by its name.

    Raises MHFFError, in one sentence, for a file that is missing, truncated, damaged, foreign or
    newer than this mhff.
    """
    path = model_path(name)
    return from_bytes(read_file(path), str(path))


def read_header(name: StrPath) -> ModelHeader:
    """Header of a `.mhff` file or of a bundled model; checked as by `load`, no network is built."""
    path = model_path(name)
    return header_from_bytes(read_file(path), str(path))


def from_bytes(content: bytes, name: str) -> Model:
    """The model in the content of a `.mhff` file; `name` is for error messages."""
    fields, tensors = unpack(content, name)
    with _refusing(name):
        header = _header(fields, tensors)
        return assemble(
            header.architecture,
            _with_prefix(tensors, "constants."),
            _with_prefix(tensors, "weights."),
            Heads(header.heads),
            header.provenance,
        )


def header_from_bytes(content: bytes, name: str) -> ModelHeader:
    """The header in the content of a `.mhff` file; `name` is for error messages."""
    fields, tensors = unpack(content, name)
    with _refusing(name):
        return _header(fields, tensors)


def assemble(
    config: ModelConfig,
    constants: Mapping[str, torch.Tensor],
    weights: Mapping[str, torch.Tensor],
    heads: Heads,
    provenance: dict[str, Any],
) -> Model:
    """A model of given weights (`MACE.state_dict`) and constants.

    Raises ValueError or RuntimeError if they disagree or are not finite.
    """
    check_constants(config, constants)
    for name, value in {**constants, **weights}.items():
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} has numbers that are not finite")
    with torch.device(
        "meta"
    ):  # without memory: settings may claim any size, but the weights must have that size
        network = MACE(config, constants)
    for name, expected in network.state_dict().items():
        # load_state_dict of torch 2.9 takes the first of several numbers for a scalar
        if name in weights and weights[name].shape != expected.shape:
            raise ValueError(
                f"size mismatch for {name}: {list(weights[name].shape)}, not {list(expected.shape)}"
            )
    network.load_state_dict(weights, assign=True)
    _precision(weights)
    return Model(network.to(network.dtype).requires_grad_(False), heads, provenance)


def _precision(weights: Mapping[str, torch.Tensor]) -> str:
    """The one precision of the weights, `float32` or `float64`; raises ValueError for others."""
    dtypes = {value.dtype for name, value in weights.items() if not name.startswith(IN_FLOAT64)}
    if dtypes not in ({torch.float32}, {torch.float64}):
        raise ValueError(
            f"expected weights in float32 or in float64, got {listing(sorted(map(str, dtypes)))}"
        )
    return str(dtypes.pop()).removeprefix("torch.")


def _header(fields: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> ModelHeader:
    precision = _precision(_with_prefix(tensors, "weights."))
    return ModelHeader.model_validate({**fields, "dtype": precision})


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn every inconsistency within a file into one sentence."""
    try:
        yield
    except (MHFFError, KeyError, RuntimeError, ValueError, TypeError) as error:
        raise MHFFError(
            f"'{name}' does not hold a model that this mhff can read ({_reason(error)}); write it "
            "again"
        ) from error


def _reason(error: Exception) -> str:
    """The reason of a failure, in one short line that cannot steer a terminal."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])).removeprefix("architecture.")
        return printable(textwrap.shorten(f"{place or 'header'}: {first['msg']}", 200))
    text = f"it has no {error}" if isinstance(error, KeyError) else str(error)
    return printable(textwrap.shorten(text, 200))


def _deeper_than(value: object, levels: int) -> bool:
    """Whether dictionaries and lists are nested more deeply than this."""
    if not isinstance(value, dict | list | tuple):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper_than(item, levels - 1) for item in inner)


def _with_prefix(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
