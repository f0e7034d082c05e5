"""Options of a compilation: one record for the command line, the cache and the manifest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

from mhff.errors import MHFFError, listing
from mhff.mixes import EXAMPLE, Mix, parse_mix

if TYPE_CHECKING:
    import torch

Choice = TypeVar("Choice", bound=StrEnum)


class Precision(StrEnum):
    """Floating-point type of a program's features and forces; energies are summed in float64."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def dtype(self) -> torch.dtype:
        """The corresponding torch dtype."""
        import torch  # here, so that `--help` is instant

        return torch.float32 if self is Precision.FLOAT32 else torch.float64


class Form(StrEnum):
    """The form in which a model runs."""

    EAGER = "eager"
    AOTI = "aoti"
    TORCHSCRIPT = "torchscript"


class InstructionSet(StrEnum):
    """Processors that a program for CPUs runs on: this machine's, or any with AVX2.

    A portable program has kernels for several levels and takes the best when it is opened.
    """

    NATIVE = "native"
    PORTABLE = "portable"
    X86_64_V3 = "x86-64-v3"

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels that kernels are compiled for, ascending; all other code is for the first."""
        return ("x86-64-v3", "x86-64-v4") if self is InstructionSet.PORTABLE else (str(self),)


CHOICES: dict[str, tuple[type[StrEnum], str]] = {
    "precision": (Precision, "dtype"),
    "form": (Form, "form"),
    "isa": (InstructionSet, "instruction set"),
}
"""Options with a fixed set of words, and their names in messages."""


@dataclass(frozen=True)
class Help:
    """The help text of an option of `mhff compile`."""

    text: str
    name: str = ""
    """The option's name on the command line, if it is not the name of the field."""


class CompileOptions(BaseModel):
    """Options of the compiler; None leaves the choice to the compiler or to `open_evaluator`.

    The fields are the options of `mhff compile`, part of the cache's keys, and in every manifest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: Annotated[
        str | None, Help("Default head; the beginning of its name is enough. All heads stay.")
    ] = None
    mix: Annotated[
        tuple[Mix, ...],
        Help(f"Another name to choose, for a mix of heads: {EXAMPLE}; may be repeated."),
    ] = ()
    elements: Annotated[
        tuple[str, ...] | None, Help("Keep only these elements, e.g. Mg,O,H; all by default.")
    ] = None
    device: Annotated[str, Help("cpu or cuda.")] = "cpu"
    precision: Annotated[
        Precision | None,
        Help("float32 (default) for dynamics, float64 for optimisation and phonons.", "dtype"),
    ] = None
    form: Annotated[Form | None, Help("Form of the program: aoti (faster) or torchscript.")] = None
    table_error: Annotated[
        float | None,
        Help(
            "Error of forces on atoms, eV/A, that tables of radial functions may make: 1e-6 in "
            "float32 and 1e-9 in float64 by default; 0 keeps the radial networks."
        ),
    ] = None
    isa: Annotated[
        InstructionSet,
        Help(
            "native; portable for any processor with AVX2, at the full speed of those with AVX-512 "
            "and AMX; x86-64-v3 for AVX2 alone."
        ),
    ] = InstructionSet.NATIVE
    charge: Annotated[
        float | None, Help("Total charge, e, unless an engine gives one, for models that take one.")
    ] = None
    spin: Annotated[float | None, Help("Spin multiplicity 2S+1, likewise.")] = None

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

    @field_validator("mix", mode="before")
    @classmethod
    def _parse_mixes(cls, value: Any) -> Any:
        """Mixes may be given as words, such as `screened=0.7*materials+0.3*surfaces`."""
        return tuple(parse_mix(mix) if isinstance(mix, str) else mix for mix in value or ())

    @field_validator("elements", mode="before")
    @classmethod
    def _separate(cls, value: Any) -> Any:
        """Elements may be given as `Mg,O,H`."""
        if not isinstance(value, str):
            return value
        return tuple(symbol.strip() for symbol in value.split(",") if symbol.strip())

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
    """Options in which every choice is made, as the compiler takes them."""

    precision: Precision
    form: Form
    table_error: float


def parse_choice(kind: type[Choice], value: str, word: str) -> Choice:
    """The member of an enumeration that a user names; raises MHFFError listing those that exist."""
    try:
        return kind(value)
    except ValueError as error:
        raise MHFFError(f"unknown {word} '{value}': choose one of {listing(kind)}") from error
