"""The modules in a file: the same tensors as torch's own, and plain values for everything else."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile_pickles import honest_tensor, module
from hypothesis import given
from hypothesis import strategies as st
from pickle_opcodes import FALSE, NONE, TRUE, call, dictionary, integer, name, several, text
from stand_in import KIND, CouplingCode, saved, stand_in_model
from torch_archive import Parts, archive, members

from mhff.interop.torchfile.modules import ARGUMENTS, LibraryFormat, ModuleRecord, read_model
from mhff.interop.torchfile.refusals import DamagedError, RefusedError
from mhff.interop.torchfile.values import MAX_LEVELS, Inert


def read(content: bytes) -> ModuleRecord:
    """The model in a file's content."""
    return read_model(bytearray(content), KIND)


def child(record: ModuleRecord, path: str) -> ModuleRecord:
    """The module at a dotted path below another."""
    for part in path.split("."):
        record = record.children[part]
    return record


def attribute(opcodes: bytes) -> Any:
    """An attribute that is made by opcodes."""
    return read(Parts(saved(torch.nn.Linear(1, 1))).with_attribute(opcodes)).attributes["planted"]


def assert_same_tensors(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert found[key].dtype == tensor.dtype, key
        assert found[key].shape == tensor.shape, key
        assert torch.equal(found[key], tensor), key


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_are_torchs_own(protocol: int) -> None:
    model = stand_in_model()
    record = read(saved(model, pickle_protocol=protocol))
    assert_same_tensors(record.state_dict(), model.state_dict())
    for path, part in model.named_modules(remove_duplicate=False):
        found = child(record, path) if path else record
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
def test_dtypes(dtype: torch.dtype) -> None:
    part = torch.nn.Module()
    part.register_buffer(
        "x", (torch.randn(7, generator=torch.Generator().manual_seed(1)) * 3).to(dtype)
    )
    assert_same_tensors(read(saved(part)).state_dict(), part.state_dict())


def test_numbers_that_are_not_finite_are_read() -> None:
    part = torch.nn.Module()
    part.register_buffer("x", torch.tensor([float("nan"), float("inf"), -0.0]))
    found = read(saved(part)).tensors["x"]
    assert found.numpy().tobytes() == part.x.numpy().tobytes()


def test_shared_tensors_share_memory_and_nothing_is_copied() -> None:
    record = read(saved(stand_in_model()))
    found = record.tensors
    assert found["transposed"].stride() == (1, 4)
    assert (
        found["view"].untyped_storage().data_ptr()
        == found["transposed"].untyped_storage().data_ptr()
    )
    assert (
        child(record, "tied").parameters["weight"].data_ptr()
        == child(record, "embedding").parameters["weight"].data_ptr()
    )


def test_tensors_need_no_gradient_and_can_be_written() -> None:
    weight = read(saved(torch.nn.Linear(2, 2))).tensors["weight"]
    assert not weight.requires_grad
    weight += 1  # a copy of the file's bytes, not the file


def test_unaligned_storages_are_read() -> None:
    """Torch can be told to align them to anything."""
    model = stand_in_model()
    content = archive(members(saved(model)), alignment=1)
    assert content != saved(model)
    assert_same_tensors(read(content).state_dict(), model.state_dict())


def test_attributes_are_plain_values() -> None:
    record = read(saved(stand_in_model()))
    assert record.attributes["heads"] == ["materials", "größer"]
    assert record.attributes["specs"] == {
        "spin": {"offset": 1, "use": None},
        "charge": (1.5, -(2**40), True, b"\x00\xff"),
    }
    interaction = child(record, "interactions.0")
    assert interaction.attributes["hidden_irreps"] == "6x0e+3x1o"
    assert interaction.attributes["avg_num_neighbors"] == 8.25
    assert type(interaction.attributes["avg_num_neighbors"]) is float
    assert not any(
        key.endswith("hooks") or key in ("_modules", "_buffers", "__codegen__")
        for key in record.attributes
    )
    assert child(record, "interactions.1.0").attributes["in_features"] == 2


@pytest.mark.parametrize("protocol", [2, 4])
def test_values_of_numpy_and_torch(protocol: int) -> None:
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


@pytest.mark.parametrize("protocol", [2, 4])
def test_arrays_of_numpy(protocol: int) -> None:
    part = torch.nn.Module()
    part.arrays = [np.array(0.5), np.arange(6.0).reshape(2, 3), np.zeros(0)]
    found = read(saved(part, pickle_protocol=protocol)).attributes
    for array, expected in zip(found["arrays"], part.arrays, strict=True):
        assert torch.equal(array, torch.from_numpy(expected))


@pytest.mark.parametrize("array", [np.arange(3), np.asfortranarray(np.ones((2, 3)))])
def test_other_arrays_of_numpy_are_refused(array: np.ndarray) -> None:
    part = torch.nn.Module()
    part.array = array
    with pytest.raises(DamagedError, match="a numpy array of an unknown type"):
        read(saved(part))


class Called(torch.nn.Module):
    """A module that its pickle makes anew, from an object whose state is its content."""

    def __init__(self, content: Content) -> None:
        super().__init__()
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        return Called, (self.content, "naive")


class Content:
    """An object with a state."""

    def __init__(self) -> None:
        self.numbers = (1, 2)
        self.array = np.ones(2)


CALLS = LibraryFormat(
    packages=(f"{__name__}.",),
    made_by_calls=frozenset({f"{__name__}.Called"}),
    with_states=frozenset({f"{__name__}.Content"}),
)


def test_modules_that_are_made_by_calls() -> None:
    content = bytearray(saved(torch.nn.Sequential(Called(Content()))))
    found = read_model(content, CALLS).children["0"]
    assert (found.path, found.class_path) == ("0", f"{__name__}.Called")
    assert not found.tensors
    assert not found.children
    state, method = found.attributes[ARGUMENTS]
    assert state.path == f"{__name__}.Content"
    assert state.state["numbers"] == (1, 2)
    assert torch.equal(state.state["array"], torch.ones(2, dtype=torch.float64))
    assert method == "naive"


def test_states_of_other_classes_are_not_read() -> None:
    content = bytearray(saved(torch.nn.Sequential(Called(Content()))))
    plain = dataclasses.replace(CALLS, with_states=frozenset())
    state, _ = read_model(content, plain).children["0"].attributes[ARGUMENTS]
    assert state.state is None
    with pytest.raises(RefusedError, match="where '0' belongs"):
        read_model(content, dataclasses.replace(CALLS, made_by_calls=frozenset()))


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.sets(st.text(), max_size=3),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(PLAIN, st.sampled_from([2, 3, 4, 5]))
def test_plain_attributes_come_back(value: Any, protocol: int) -> None:
    part = torch.nn.Module()
    part.value = value
    found = read(saved(part, pickle_protocol=protocol)).attributes["value"]
    assert found == value
    assert type(found) is type(value)


def test_what_is_not_plain_stays_inert() -> None:
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


def test_what_comes_back_is_a_tree_of_bounded_depth() -> None:
    shared = ["x"]
    part = torch.nn.Module()
    part.value = [shared, shared]
    first, second = read(saved(part)).attributes["value"]
    assert first == second
    assert first is not second
    nested: list[object] = []
    for _ in range(MAX_LEVELS + 1):
        nested = [nested]
    part.value = nested[0]
    assert read(saved(part)).attributes["value"] == nested[0]
    part.value = nested
    with pytest.raises(RefusedError, match="nested too deeply"):
        read(saved(part))


def test_generated_modules_are_left_out() -> None:
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


def test_tensors_of_the_generated_code_are_read() -> None:
    record = read(saved(stand_in_model()))
    expected = CouplingCode().state_dict()
    found = child(record, "interactions.0.conv_tp").script_tensors
    assert found["_w3j_1_1_2"].dtype == torch.float32
    assert_same_tensors(dict(found), expected)
    assert child(record, "interactions.0.linear").script_tensors == {}


# refusals


@pytest.mark.parametrize(
    "path", ["os system", "__main__ Model", "torch load", "torch.fx.graph_module _exec_with_source"]
)
def test_other_names_are_refused_and_told(path: str) -> None:
    with pytest.raises(RefusedError) as caught:
        attribute(name(path))
    sentence = caught.value.sentence("x.model")
    assert f"'x.model' names '{path.replace(' ', '.')}'" in sentence
    assert "nothing of it was run" in sentence


def test_odd_values_are_refused() -> None:
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
        with pytest.raises(DamagedError):
            attribute(opcodes)


@pytest.mark.parametrize("shape", [(3,), (2**30, 2**30), (-2,), ()])
def test_arrays_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    dtype = call("numpy dtype", text("f8"), FALSE, TRUE)
    dtype += several(b"K\3", text("<"), *[NONE] * 6) + b"b"
    made = call(
        "numpy.core.multiarray _reconstruct", name("numpy ndarray"), several(b"K\0"), b"C\1b"
    )
    state = several(b"K\1", several(*map(integer, shape)), dtype, FALSE, b"C\x10" + bytes(16))
    with pytest.raises(DamagedError, match="numbers do not fit its shape"):
        attribute(made + state + b"b")


def test_an_honest_tensor_is_read() -> None:
    found = read(honest_tensor(Parts(saved(torch.nn.Linear(1, 1))))).attributes["planted"]
    assert torch.equal(found, torch.zeros(4))


# what it costs


def test_no_library_of_models_is_imported() -> None:
    program = (
        "import sys, mhff.interop.torchfile.modules; print([m for m in sys.modules if "
        "m.partition('.')[0] in ('e3nn', 'mace', 'ase') or m.startswith('mhff.model')])"
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
from pathlib import Path
from mhff.interop.torchfile.archive import read_content
from mhff.interop.torchfile.modules import LibraryFormat, read_model
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
record = read_model(read_content(Path({str(path)!r})), LibraryFormat())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    megabytes, size = int(run.stdout) / 1e3, path.stat().st_size / 1e6
    assert size > 80
    assert megabytes < size + 25
