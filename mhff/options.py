"""What is asked of a program: one record for the command line, the cache and the manifest."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, field_validator

from mhff.errors import MHFFError, listing

Choice = TypeVar("Choice", bound=StrEnum)


class Precision(StrEnum):
    """Floating-point type of a program's features and forces; energies are summed in float64."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def dtype(self) -> torch.dtype:
        """The type as torch has it."""
        return torch.float32 if self is Precision.FLOAT32 else torch.float64


class Form(StrEnum):
    """What a model runs as."""

    EAGER = "eager"
    AOTI = "aoti"
    TORCHSCRIPT = "torchscript"


class InstructionSet(StrEnum):
    """Processors that a program for CPUs runs on: this machine's, or any with AVX2."""

    NATIVE = "native"
    X86_64_V3 = "x86-64-v3"


CHOICES: dict[str, tuple[type[StrEnum], str]] = {
    "precision": (Precision, "dtype"),
    "form": (Form, "form"),
    "isa": (InstructionSet, "instruction set"),
}
"""Options that are one of a few words, and what a user calls them."""


class CompileOptions(BaseModel):
    """What is asked of the compiler; None leaves a choice to whoever compiles or opens."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: str | None = None
    """Default head of the program; all heads stay in it."""
    elements: tuple[str, ...] | None = None
    """Elements that the program knows; None for all of the model's."""
    device: str = "cpu"
    precision: Precision | None = None
    form: Form | None = None
    table_error: float | None = None
    """Error of forces, eV/A, that tables of radial functions may make; 0 keeps the networks."""
    isa: InstructionSet = InstructionSet.NATIVE
    charge: float | None = None
    """Total charge, e, where an engine names none."""
    spin: float | None = None
    """Spin multiplicity 2S + 1 where an engine names none."""

    @field_validator(*CHOICES, mode="before")
    @classmethod
    def _known_word(cls, value: Any, info: Any) -> Any:
        if value is None:
            return None
        kind, word = CHOICES[info.field_name]
        return parse_choice(kind, value, word)

    @field_validator("device", mode="before")
    @classmethod
    def _device_name(cls, value: Any) -> str:
        return str(value)

    @field_validator("table_error")
    @classmethod
    def _not_negative(cls, value: float | None) -> float | None:
        if value is not None and not 0 <= value < float("inf"):
            raise MHFFError(
                f"expected a table error of 0 eV/A or more, got {value:g}; 1e-6 suits most "
                "simulations"
            )
        return value

    def but(self, **changes: Any) -> CompileOptions:
        """The same options with changes."""
        return CompileOptions.model_validate({**dict(self), **changes})


class CompleteOptions(CompileOptions):
    """Options in which every choice is made: what a compiler works by."""

    precision: Precision
    form: Form
    table_error: float


def parse_choice(kind: type[Choice], value: str, word: str) -> Choice:
    """The member of an enumeration that a user names; raises MHFFError listing those that exist."""
    try:
        return kind(value)
    except ValueError as error:
        raise MHFFError(f"unknown {word} '{value}': choose one of {listing(kind)}") from error


def resolve_device(name: str | torch.device) -> torch.device:
    """torch device of `cpu`, `cuda` or `cuda:<index>`; raises MHFFError where there is none."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise MHFFError(f"unknown device '{name}': choose cpu or cuda") from error
    if device.type not in ("cpu", "cuda") or (device.type == "cpu" and device.index is not None):
        raise MHFFError(f"unknown device '{name}': choose cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MHFFError(
            f"no device '{device}': torch sees {torch.cuda.device_count()} CUDA devices on this "
            "machine; use device='cpu'"
        )
    return device
