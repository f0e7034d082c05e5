"""Irreps and activation functions of a file, from every form that e3nn and torch write."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pickle_opcodes import call, name, text
from stand_in import saved
from torch_archive import Parts

from mhff.interop.mace.activations import function_name
from mhff.interop.mace.generated import MACE_FORMAT
from mhff.interop.mace.irreps import irreps, natural, words
from mhff.interop.mace.refusals import UnknownModelError
from mhff.interop.torchfile.modules import read_model
from mhff.interop.torchfile.values import Inert


def attribute(opcodes: bytes) -> object:
    """An attribute of a file that is made by opcodes."""
    content = Parts(saved(torch.nn.Linear(1, 1))).with_attribute(opcodes)
    return read_model(bytearray(content), MACE_FORMAT).attributes["planted"]


def object_of(path: str, *arguments: object) -> Inert:
    return Inert(path, arguments)


def test_irreps_of_strings() -> None:
    assert irreps("6x0e+3x1o") == ((6, 0, 1), (3, 1, -1))
    assert irreps("0e + 128x2e") == ((1, 0, 1), (128, 2, 1))
    assert irreps("") == ()
    assert irreps("0x1o") == ((0, 1, -1),)


@given(
    st.lists(
        st.tuples(st.integers(0, 10**9 - 1), st.integers(0, 99), st.sampled_from((1, -1))),
        max_size=8,
    )
)
def test_irreps_are_read_as_they_are_written(entries: list[tuple[int, int, int]]) -> None:
    assert irreps(words(tuple(entries))) == tuple(entries)


def test_natural_parity() -> None:
    assert words(natural(4, 3)) == "4x0e+4x1o+4x2e+4x3o"


def test_irreps_of_objects() -> None:
    def block(count: int, degree: int, parity: int) -> Inert:
        irrep = object_of("e3nn.o3._irreps.Irrep", (degree, parity))
        return object_of("e3nn.o3._irreps._MulIr", (count, irrep))

    value = object_of("e3nn.o3._irreps.Irreps", (block(6, 0, 1), block(3, 1, -1)))
    assert irreps(value) == ((6, 0, 1), (3, 1, -1))
    assert irreps(object_of("e3nn.o3._irreps.Irreps", ())) == ()


@pytest.mark.parametrize(
    "value",
    [
        *(
            "x",
            "6x0",
            "6x0e+",
            "6x0e3x1o",
            "-1x0e",
            "6x0e\n7x1o",
            "9" * 5000 + "x0e",
            "6x999e",
            "٣x0e",
            None,
            6,
            (6, 0, 1),
        ),
        *(
            Inert("builtins.list", ((),)),
            Inert("e3nn.o3._irreps.Irreps", (("6x0e",),)),
            Inert("e3nn.o3._irreps.Irreps", ()),
        ),
        Inert("e3nn.o3._irreps.Irreps", ((Inert("", ((6, Inert("", ((0, 2),))),)),),)),
    ],
)
def test_other_irreps_are_refused(value: object) -> None:
    with pytest.raises(UnknownModelError) as caught:
        irreps(value)
    assert len(str(caught.value)) < 120
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "expected"),
    [(torch.tanh, "tanh"), (torch.abs, "abs"), (torch.nn.functional.silu, "silu")],
)
def test_functions_have_names(function: object, expected: str) -> None:
    part = torch.nn.Module()
    part.f = function
    root = read_model(bytearray(saved(part)), MACE_FORMAT)
    assert function_name(root.attributes["f"]) == expected


def test_other_functions_are_refused() -> None:
    assert function_name(None) == "none"
    assert function_name(attribute(name("torch.nn.functional sigmoid"))) == "sigmoid"
    for opcodes in (name("torch.nn.functional relu"), name("e3nn.nn.x silu"), text("silu")):
        with pytest.raises(UnknownModelError, match="but mhff knows silu, sigmoid, tanh, abs"):
            function_name(attribute(opcodes))
    functions = name("torch._C _VariableFunctionsClass")
    with pytest.raises(UnknownModelError, match="but mhff knows"):
        function_name(attribute(call("__builtin__ getattr", functions, text("exp"))))
