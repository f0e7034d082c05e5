"""The record of what is asked of a compiler."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from mhff.errors import MHFFError
from mhff.mixes import EXAMPLE, parse_mix
from mhff.options import CompileOptions, Form, InstructionSet, Precision


def test_words_become_members_of_enumerations() -> None:
    options = CompileOptions.model_validate(
        {"precision": "float64", "form": "torchscript", "isa": "x86-64-v3"}
    )
    assert options.precision is Precision.FLOAT64
    assert options.form is Form.TORCHSCRIPT
    assert options.isa is InstructionSet.X86_64_V3


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"precision": "half"}, "unknown dtype 'half': choose one of float32, float64"),
        ({"form": "onnx"}, "unknown form 'onnx': choose one of eager, aoti, torchscript"),
        (
            {"isa": "z80"},
            "unknown instruction set 'z80': choose one of native, portable, x86-64-v3",
        ),
    ],
)
def test_unknown_words_name_those_that_exist(asked: dict[str, str], sentence: str) -> None:
    with pytest.raises(MHFFError, match=f"^{sentence}$"):
        CompileOptions.model_validate(asked)


@pytest.mark.parametrize("error", [-1e-9, float("inf"), float("nan")])
def test_table_errors_are_finite_and_not_negative(error: float) -> None:
    with pytest.raises(MHFFError, match=r"^expected a table error of 0 eV/A or more, got "):
        CompileOptions(table_error=error)


def test_options_do_not_change_and_have_no_others() -> None:
    options = CompileOptions(head="a")
    with pytest.raises(ValidationError):
        options.head = "b"  # type: ignore[misc]
    with pytest.raises(ValidationError):
        CompileOptions.model_validate({"heads": "a"})
    assert options.but(device="cuda") == CompileOptions(head="a", device="cuda")
    with pytest.raises(MHFFError, match="unknown form"):
        options.but(form="x")


def test_what_is_written_is_read_back() -> None:
    options = CompileOptions(
        elements=("O", "Mg"), precision=Precision.FLOAT32, charge=-1.0, mix=(parse_mix(EXAMPLE),)
    )
    assert CompileOptions.model_validate(options.model_dump(mode="json")) == options


def test_mixes_may_be_words() -> None:
    options = CompileOptions.model_validate({"mix": [EXAMPLE, "a=1*surfaces"]})
    assert [str(mix) for mix in options.mix] == [EXAMPLE, "a=1.0*surfaces"]
    assert CompileOptions.model_validate({"mix": None}).mix == ()
    with pytest.raises(MHFFError, match=r"^expected a mix as NAME="):
        CompileOptions.model_validate({"mix": ["a"]})


def test_precisions_are_types_of_torch() -> None:
    assert (Precision.FLOAT32.dtype, Precision.FLOAT64.dtype) == (torch.float32, torch.float64)
