"""Pickles of all of torch's protocols are read as data; nothing is imported, called or hashed."""

from __future__ import annotations

import pickle
import pickletools
import struct
import sys
import time
from collections import OrderedDict
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pickle_opcodes import NONE, NOTHING, call, name, recall, text

from mhff.interop.torchfile.opcodes import MAX_OPCODES, read_pickle
from mhff.interop.torchfile.pickled import Global, Pairs, PersistentId, Record
from mhff.interop.torchfile.refusals import RefusedError

PROTOCOLS = (2, 3, 4, 5)


def value_of(opcodes: bytes) -> Any:
    return read_pickle(b"\x80\x02" + opcodes + b".").value


def refusal(content: bytes) -> str:
    with pytest.raises(RefusedError) as caught:
        read_pickle(content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused(opcodes: bytes) -> str:
    return refusal(b"\x80\x02" + opcodes + b".")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        255,
        256,
        70000,
        -1,
        -(2**40),
        2**63 - 1,
        2**64 - 1,
        0.1,
        -1e300,
        float("inf"),
        "",
        "größer ∂",
    ],
)
def test_scalars(protocol: int, value: object) -> None:
    found = read_pickle(pickle.dumps(value, protocol)).value
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        (),
        (1,),
        (1, 2),
        (1, 2, 3),
        (1, (2, ("x", None)), 3, 4),
        [],
        [1],
        [1, [2, ["x"]]],
        [*range(2500)],
    ],
)
def test_sequences(protocol: int, value: object) -> None:
    assert read_pickle(pickle.dumps(value, protocol)).value == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_dictionaries_become_pairs(protocol: int) -> None:
    value = {"a": 1, 2: [3], None: {}, 1.5: "x", **{f"key {n}": n for n in range(2500)}}
    found = read_pickle(pickle.dumps(value, protocol)).value
    assert isinstance(found, Pairs)
    assert [key for key, _ in found.items] == list(value)
    assert dict(found.items[4:]) == dict(list(value.items())[4:])


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_bytes(protocol: int) -> None:
    for value in (b"", b"\0\xff" * 10, bytes(70000)):
        assert read_pickle(pickle.dumps(value, protocol)).value == value


def test_bytes_of_protocol_2_are_a_call() -> None:
    found = read_pickle(pickle.dumps(b"\0\xff", 2)).value
    assert (found.path, found.args) == ("_codecs.encode", ("\0\xff", "latin1"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_objects_become_records(protocol: int) -> None:
    found = read_pickle(pickle.dumps(OrderedDict(a=1, b=[2]), protocol)).value
    assert isinstance(found, Record)
    assert found.path == "collections.OrderedDict"
    assert found.pairs.items == [("a", 1), ("b", [2])]
    sets = read_pickle(pickle.dumps([{"a"}, frozenset({"b"})], protocol)).value
    assert [record.path for record in sets] == ["builtins.set", "builtins.frozenset"]
    error = read_pickle(pickle.dumps(ValueError("x", 3), protocol)).value
    assert (error.path.rpartition(".")[2], error.args) == ("ValueError", ("x", 3))


def test_a_state_and_a_persistent_id_are_kept() -> None:
    found = value_of(name("a.b C") + NOTHING + b"\x81}" + text("x") + text("id") + b"Q" + b"sb")
    (key, persistent), *_ = found.state.items
    assert (found.path, key) == ("a.b.C", "x")
    assert isinstance(persistent, PersistentId)
    assert persistent.value == "id"


def test_names_are_never_looked_up() -> None:
    found = read_pickle(b"\x80\x02" + call("no_such_module.at_all Nothing", name("this s")) + b".")
    assert [thing.path for thing in found.names] == ["no_such_module.at_all.Nothing", "this.s"]
    assert [record.path for record in found.records] == ["no_such_module.at_all.Nothing"]
    assert isinstance(found.value.args[0], Global)
    assert "this" not in sys.modules


def test_names_are_read_as_pickle_reads_them() -> None:
    """Without escapes, and with all of UTF-8."""
    assert value_of(b"c\\x6fs\nsyst\\145m\n").path == "\\x6fs.syst\\145m"
    assert value_of("cgrößer\nals dies\n".encode()).path == "größer.als dies"


def test_the_module_of_python_2_has_its_new_name() -> None:
    assert value_of(name("__builtin__ set")).path == "builtins.set"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shared_values_stay_shared_and_cycles_close(protocol: int) -> None:
    shared = ["x"]
    cycle: list[object] = [shared, shared]
    cycle.append(cycle)
    found = read_pickle(pickle.dumps(cycle, protocol)).value
    assert found[0] is found[1]
    assert found[2] is found


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.none() | st.integers(-9, 9) | st.text(), inner)
    ),
    max_leaves=25,
)
"""Plain data of every type that a pickle of a model may hold."""


def as_python(value: Any) -> Any:
    """A value of a pickle with its pairs as a dictionary."""
    if isinstance(value, Pairs):
        return {key: as_python(item) for key, item in value.items}
    if isinstance(value, list | tuple):
        return type(value)(as_python(item) for item in value)
    return value


@given(VALUES, st.sampled_from([3, 4, 5]))
def test_plain_data_come_back(value: Any, protocol: int) -> None:
    found = as_python(read_pickle(pickle.dumps(value, protocol)).value)
    assert found == value
    assert repr(found) == repr(value)  # 1, 1.0 and True are equal


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with suppress(RefusedError):
        read_pickle(b"\x80\x02" + content)


def argument_of(opcode: pickletools.OpcodeInfo) -> bytes:
    """An argument that the opcode can have."""
    match opcode.arg.name if opcode.arg else "":
        case "":
            return b""
        case "stringnl":
            return b"'1'\n"
        case "stringnl_noescape_pair":
            return b"a\nb\n"
        case kind if "nl" in kind:
            return b"1\n"
        case "float8":
            return bytes(8)
        case kind:
            size = {"1": 1, "2": 2, "4": 4, "8": 8}[kind[-1]]
            return (1).to_bytes(size, "little") + (
                b"" if "int" in kind and "long" not in kind else b"x"
            )


def acts(opcode: pickletools.OpcodeInfo) -> bool:
    """Whether an opcode is one that is carried out."""
    try:
        value_of(NONE + opcode.code.encode("latin1") + argument_of(opcode))
    except RefusedError as error:
        return "which torch does not write" not in str(error)
    return True


def test_opcodes_that_torch_does_not_write_are_refused() -> None:
    other = {opcode.name for opcode in pickletools.opcodes if not acts(opcode)}
    assert other == {
        *(
            "INT",
            "LONG",
            "LONG4",
            "STRING",
            "BINSTRING",
            "SHORT_BINSTRING",
            "UNICODE",
            "FLOAT",
            "LIST",
            "DICT",
            "PUT",
            "GET",
        ),
        *(
            "POP",
            "POP_MARK",
            "DUP",
            "INST",
            "OBJ",
            "PERSID",
            "PROTO",
            "EXT1",
            "EXT2",
            "EXT4",
            "NEXT_BUFFER",
            "READONLY_BUFFER",
        ),
    }


@pytest.mark.parametrize("opcode", [*b"\x85\x86\x87astuebRQ\x81\x90\x91\x92\x93q\x94"])
def test_nothing_is_taken_from_an_empty_stack(opcode: int) -> None:
    refused(bytes([opcode]) + b"\0" * (opcode == ord("q")))


def test_the_memo_is_in_order() -> None:
    for index in (1, 2**31, 2**32 - 1):
        assert "not in order" in refused(b"Nr" + struct.pack("<L", index))
    assert "not in its memo" in refused(b"Nq\0" + recall(1))
    assert "not in order" in refused(b"Nq\0Nq\0\x86")


@pytest.mark.parametrize(
    ("opcodes", "reason"),
    [
        (b"NN", "does not end with one value"),
        (b"", "does not end with one value"),
        (b"(N", "does not end with one value"),
        (b"N.N", "something follows"),
        (b"\x8a\x09" + b"\xff" * 8 + b"\x01", "integer of 65 bits"),
        (b"}]Ns", "neither text nor numbers"),
        (b"}K\1K\1K\1\x87Ns", "neither text nor numbers"),
        (b"}K\1N\x86Ns", "neither text nor numbers"),
        (b"}NNs]NNs", "sets keys of a value of type list"),
        (b"}(NNNu", "sets keys"),
        (b"}(NNe", "appends to a dictionary"),
        (b"K\1}b", "a state that it cannot take"),
        (name("a b") + b")\x81}b}b", "a state that it cannot take"),
        (name("a b") + b"]R", "where it needs another kind"),
        (b"NN\x93", "where it needs another kind"),
        (b"\x80\x02N", "the opcode"),
        (b"X\3\0\0\0\xed\xa0\x80", "not UTF-8"),
        (b"ca", "a name is cut off"),
        (b"ca\nb", "a name is cut off"),
        (b"c\xff\nb\n", "cannot be taken apart"),
        (b"X\xff\xff\xff\xff", "cannot be taken apart"),
        (b"X\1\0\0\0\xff", "cannot be taken apart"),
        (b"\x8e" + b"\xff" * 7 + b"\x7f", "cannot be taken apart"),
    ],
)
def test_malformed_pickles_are_refused(opcodes: bytes, reason: str) -> None:
    assert reason in refused(opcodes)


def test_protocols_other_than_torchs_are_refused() -> None:
    for content in (b"\x80\0N.", b"\x80\1N.", b"\x80\6N.", b"N.", b".", b"(dp0\n."):
        assert "protocol 2 to 5" in refusal(content)
    for content in (b"", b"\x80", b"\x80\2", b"\x80\2N"):
        refusal(content)


def test_depth_costs_no_recursion() -> None:
    depth = MAX_OPCODES // 4
    for opcodes in (
        b"]" * depth + b"a" * (depth - 1),
        NOTHING + b"\x85" * depth,
        name("a b") * depth + NONE + b"\x85R" * depth,
    ):
        found = value_of(opcodes)
        assert found is not None
        del found  # nor does its end


def test_a_pair_of_integers_is_a_key() -> None:
    assert value_of(b"}K\1K\2\x86Ns").items == [((1, 2), None)]


def test_nothing_is_hashed() -> None:
    levels = b"".join(
        recall(n) * 2 + b"\x86\x94" for n in range(60)
    )  # two to the power of 60 to hash
    assert len(value_of(b"(" + NOTHING + b"\x94" + levels + b"t")) == 61
    assert "neither text nor numbers" in refused(b"}(" + NOTHING + b"\x94N" + levels + b"u")
    colliding = b"".join(
        b"\x8a\x09" + (n * (2**61 - 1)).to_bytes(9, "little", signed=True) + NONE
        for n in range(-7, 7)
    )
    start = time.process_time()
    assert len(value_of(b"}(" + colliding * 5000 + b"u").items) == 70_000
    assert time.process_time() - start < 5


def test_opcodes_are_bounded() -> None:
    most = MAX_OPCODES - 3  # beside mark, tuple and stop
    assert len(value_of(b"(" + b"]" * most + b"t")) == most
    assert f"more than {MAX_OPCODES} opcodes" in refused(b"(" + b"]" * (most + 1) + b"t")


def test_a_pickle_of_published_size_takes_no_time() -> None:
    """20 000 opcodes and some megabytes of generated code."""
    value = [
        [{"index": n, "name": f"module {n}"} for n in range(2500)],
        [bytes(range(256)) * 200 for _ in range(100)],
    ]
    content = pickle.dumps(value, 2)
    assert len(content) > 5_000_000
    start = time.process_time()
    read_pickle(content)
    assert time.process_time() - start < 2


def test_what_is_shown_of_values_is_short() -> None:
    values = (
        Global("a\nb", "c" * 1000),
        Record(Global("a", "b" * 1000), [[]]),
        Pairs([("x", [1] * 1000)]),
    )
    for value in values:
        assert len(repr(value)) < 100
        assert "\n" not in repr(value)
