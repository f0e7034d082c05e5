"""The modules of a `.model` file: the same tensors as torch's own, and plain values for everything
else.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile_pickles import honest_tensor, module
from pickle_opcodes import FALSE, NONE, TRUE, call, dictionary, name, several, text
from stand_in import CouplingCode, saved, stand_in_model
from torch_archive import Parts, archive, members

from mhff.errors import MHFFError
from mhff.interop.torchfile.modules import ModuleRecord, function_name, irreps, read_model_file
from mhff.interop.torchfile.refusals import ForeignError, RefusedError
from mhff.interop.torchfile.values import MOST_LEVELS, Inert

Read = Callable[[bytes], ModuleRecord]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a file's content."""

    def from_content(content: bytes) -> ModuleRecord:
        path = tmp_path / "x.model"
        path.write_bytes(content)
        return read_model_file(path)

    return from_content


def attribute(read: Read, opcodes: bytes) -> Any:
    """An attribute that is made by opcodes."""
    return read(Parts(saved(torch.nn.Linear(1, 1))).with_attribute(opcodes)).attributes["planted"]


def assert_same_tensors(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype, key
        assert found[key].shape == tensor.shape, key
        assert torch.equal(found[key], tensor), key


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_are_torchs_own(read: Read, protocol: int) -> None:
    model = stand_in_model()
    record = read(saved(model, pickle_protocol=protocol))
    assert_same_tensors(record.state_dict(), model.state_dict())
    for path, part in model.named_modules(remove_duplicate=False):
        found = record.child(path) if path else record
        assert found.path == path
        assert found.class_path == f"{type(part).__module__}.{type(part).__qualname__}"
        assert found.class_name == type(part).__name__
        assert list(found.children) == list(part._modules)
        assert_same_tensors(found.state_dict(), part.state_dict())
        assert list(found.parameters) == [
            key for key, value in part._parameters.items() if value is not None
        ]
        assert list(found.buffers) == [
            key for key, value in part._buffers.items() if value is not None
        ]
    assert [found.path for found in record.walk()] == [
        path for path, _ in model.named_modules(remove_duplicate=False)
    ]


@pytest.mark.parametrize(
    "dtype",
    [
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    ],
)
def test_dtypes(read: Read, dtype: torch.dtype) -> None:
    part = torch.nn.Module()
    part.register_buffer(
        "x", (torch.randn(7, generator=torch.Generator().manual_seed(1)) * 3).to(dtype)
    )
    assert_same_tensors(read(saved(part)).state_dict(), part.state_dict())


def test_numbers_that_are_not_finite_are_read(read: Read) -> None:
    part = torch.nn.Module()
    part.register_buffer("x", torch.tensor([float("nan"), float("inf"), -0.0]))
    found = read(saved(part)).tensors["x"]
    assert found.numpy().tobytes() == part.x.numpy().tobytes()


def test_shared_tensors_share_memory_and_nothing_is_copied(read: Read) -> None:
    record = read(saved(stand_in_model()))
    found = record.tensors
    assert found["transposed"].stride() == (1, 4)
    assert (
        found["view"].untyped_storage().data_ptr()
        == found["transposed"].untyped_storage().data_ptr()
    )
    assert (
        record.child("tied").parameters["weight"].data_ptr()
        == record.child("embedding").parameters["weight"].data_ptr()
    )


def test_tensors_need_no_gradient_and_can_be_written(read: Read) -> None:
    weight = read(saved(torch.nn.Linear(2, 2))).tensors["weight"]
    assert not weight.requires_grad
    weight += 1  # a copy of the file's bytes, not the file


def test_unaligned_storages_are_read(read: Read) -> None:
    """Torch can be told to align them to anything."""
    model = stand_in_model()
    content = archive(members(saved(model)), alignment=1)
    assert content != saved(model)
    assert_same_tensors(read(content).state_dict(), model.state_dict())


def test_attributes_are_plain_values(read: Read) -> None:
    record = read(saved(stand_in_model()))
    assert record.attributes["heads"] == ["materials", "größer"]
    assert record.attributes["specs"] == {
        "spin": {"offset": 1, "use": None},
        "charge": (1.5, -(2**40), True, b"\x00\xff"),
    }
    interaction = record.child("interactions.0")
    assert interaction.attributes["hidden_irreps"] == "6x0e+3x1o"
    assert interaction.attributes["avg_num_neighbors"] == 8.25
    assert type(interaction.attributes["avg_num_neighbors"]) is float
    assert not any(
        key.endswith("hooks") or key in ("_modules", "_buffers", "__codegen__")
        for key in record.attributes
    )
    assert record.child("interactions.1.0").attributes["in_features"] == 2


@pytest.mark.parametrize("protocol", [2, 4])
def test_values_of_numpy_and_torch(read: Read, protocol: int) -> None:
    part = torch.nn.Module()
    part.numbers = [np.float64(0.1), np.float32(0.5), np.int64(-3), np.int32(7), np.bool_(True)]
    part.size = torch.Size([3, 4])
    part.tensor = torch.arange(3.0)
    part.names = {"a", "b"}
    part.frozen = frozenset({"c"})
    part.empty = [b"", set(), {}, (), []]
    found = read(saved(part, pickle_protocol=protocol)).attributes
    assert found["numbers"] == [0.1, 0.5, -3, 7, True]
    assert {type(value) for value in found["numbers"]} == {float, int, bool}
    assert found["size"] == (3, 4)
    assert torch.equal(found["tensor"], part.tensor)
    assert found["names"] == {"a", "b"}
    assert found["frozen"] == {"c"}
    assert found["empty"] == [b"", set(), {}, (), []]


def test_what_is_not_plain_stays_inert(read: Read) -> None:
    part = torch.nn.Module()
    part.device = torch.device("cpu")
    part.other = torch.float32
    part.slice = slice(1, 2)
    part.numbers = {1: "x", 2.5: "y"}
    found = read(saved(part)).attributes
    assert (found["device"].path, found["device"].args) == ("torch.device", ("cpu",))
    assert (found["slice"].path, found["slice"].args) == ("builtins.slice", (1, 2, None))
    assert found["other"].path == "torch.float32"
    assert isinstance(found["numbers"], Inert)


def test_what_comes_back_is_a_tree_of_bounded_depth(read: Read) -> None:
    shared = ["x"]
    part = torch.nn.Module()
    part.value = [shared, shared]
    first, second = read(saved(part)).attributes["value"]
    assert first == second
    assert first is not second
    nested: list[object] = []
    for _ in range(MOST_LEVELS + 1):
        nested = [nested]
    part.value = nested[0]
    assert read(saved(part)).attributes["value"] == nested[0]
    part.value = nested
    with pytest.raises(MHFFError, match="nested too deeply"):
        read(saved(part))


def test_missing_children_are_named(read: Read) -> None:
    record = read(saved(stand_in_model()))
    with pytest.raises(
        RefusedError, match=r"has no module 'conv_tp' in 'interactions.1' \(Sequential\)"
    ):
        record.child("interactions.1.conv_tp.weight")
    with pytest.raises(ForeignError, match="has no module 'x' in Sequential"):
        record.child("x")


def test_generated_modules_are_left_out(read: Read) -> None:
    generated = call(
        "torch.fx.graph_module reduce_graph_module", dictionary(code=text("x")), text("import os")
    )
    modules = dictionary(
        graph_opt_main=generated, linear=module("torch.nn.modules.linear Identity"), nothing=NONE
    )
    content = Parts(saved(torch.nn.Linear(1, 1))).with_pickle(
        b"\x80\x02" + module("mace.modules.models MACE", modules=modules) + b"."
    )
    record = read(content)
    assert record.class_path == "mace.modules.models.MACE"
    assert list(record.children) == ["linear"]


def test_coupling_tensors_come_from_the_generated_code(read: Read) -> None:
    record = read(saved(stand_in_model()))
    expected = CouplingCode().state_dict()
    found = record.child("interactions.0.conv_tp").coupling_tensors()
    assert found.keys() == {(1, 1, 2), (1, 2, 1)}
    assert (found[1, 1, 2].dtype, found[1, 2, 1].dtype) == (torch.float32, torch.float64)
    for (l1, l2, l3), tensor in found.items():
        assert torch.equal(tensor, expected[f"_w3j_{l1}_{l2}_{l3}"])
    assert record.child("interactions.0.linear").coupling_tensors() == {}


# irreps and functions


def object_of(path: str, *arguments: object) -> Inert:
    return Inert(path, arguments)


def test_irreps_of_strings() -> None:
    assert irreps("6x0e+3x1o") == ((6, 0, 1), (3, 1, -1))
    assert irreps("0e + 128x2e") == ((1, 0, 1), (128, 2, 1))
    assert irreps("") == ()
    assert irreps("0x1o") == ((0, 1, -1),)


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
    with pytest.raises(ForeignError) as caught:
        irreps(value)
    assert len(str(caught.value)) < 120
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "expected"),
    [(torch.tanh, "tanh"), (torch.abs, "abs"), (torch.nn.functional.silu, "silu")],
)
def test_functions_have_names(read: Read, function: object, expected: str) -> None:
    part = torch.nn.Module()
    part.f = function
    assert function_name(read(saved(part)).attributes["f"]) == expected


def test_other_functions_are_refused(read: Read) -> None:
    assert function_name(None) is None
    assert function_name(attribute(read, name("torch.nn.functional sigmoid"))) == "sigmoid"
    for opcodes in (name("torch.nn.functional relu"), name("e3nn.nn.x silu"), text("silu")):
        with pytest.raises(ForeignError, match="mhff knows silu, sigmoid, tanh, abs"):
            function_name(attribute(read, opcodes))
    functions = name("torch._C _VariableFunctionsClass")
    with pytest.raises(ForeignError, match="mhff knows"):
        function_name(attribute(read, call("__builtin__ getattr", functions, text("exp"))))


# refusals


@pytest.mark.parametrize(
    "path", ["os system", "__main__ Model", "torch load", "torch.fx.graph_module _exec_with_source"]
)
def test_other_names_are_refused_and_told(read: Read, path: str) -> None:
    with pytest.raises(MHFFError) as caught:
        attribute(read, name(path))
    sentence = str(caught.value)
    assert f"x.model' names '{path.replace(' ', '.')}'" in sentence
    assert "nothing of it was run" in sentence


def test_odd_values_are_refused(read: Read) -> None:
    dtype = (
        call("numpy dtype", text("f8"), FALSE, TRUE)
        + several(b"K\3", text(">"), *[NONE] * 6)
        + b"b"
    )
    for opcodes in (
        call("numpy.core.multiarray scalar", dtype, b"C\x08" + bytes(8)),
        call("_codecs encode", text("€"), text("latin1")),
        call("__builtin__ set", b"]K\1a"),
        dictionary(a=NONE) + text("a") + NONE + b"s",
    ):
        with pytest.raises(MHFFError, match="is truncated or damaged"):
            attribute(read, opcodes)


def test_an_honest_tensor_is_read(read: Read) -> None:
    found = read(honest_tensor(Parts(saved(torch.nn.Linear(1, 1))))).attributes["planted"]
    assert torch.equal(found, torch.zeros(4))


# what it costs


def test_neither_e3nn_nor_mace_is_imported() -> None:
    program = (
        "import sys, mhff.interop.torchfile.modules; print([m for m in sys.modules if "
        "m.partition('.')[0] in ('e3nn', 'mace', 'ase')])"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )


def test_reading_takes_little_more_memory_than_the_file(tmp_path: Path) -> None:
    path = tmp_path / "large.model"
    path.write_bytes(saved(torch.nn.Linear(20_000, 1_000)))
    program = f"""
import resource, torch
from mhff.interop.torchfile.modules import read_model_file
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
record = read_model_file({str(path)!r})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    megabytes, size = int(run.stdout) / 1e3, path.stat().st_size / 1e6
    assert size > 80
    assert megabytes < size + 25
