"""Pickles that are malformed, hang, exhaust memory, or lie about modules and tensors."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pickle_opcodes import (
    FALSE,
    NONE,
    NOTHING,
    TRUE,
    call,
    dictionary,
    integer,
    name,
    recall,
    several,
    text,
)
from torch_archive import Parts

Named = tuple[str, bytes]
"""A mutation: its name and the file."""


def opcodes(parts: Parts) -> Iterator[Named]:
    """Opcodes that torch does not write, and those that it writes with nothing to act on."""
    pickle = parts.pickle
    arguments = {
        "I": b"1\n",
        "L": b"1L\n",
        "F": b"1.5\n",
        "S": b"'x'\n",
        "V": b"x\n",
        "U": b"\1x",
        "T": b"\1\0\0\0x",
        "P": b"x\n",
    }
    arguments |= {
        "p": b"0\n",
        "g": b"0\n",
        "i": b"a\nb\n",
        "\x82": b"\1",
        "\x83": b"\1\0",
        "\x84": b"\1\0\0\0",
    }
    arguments |= {"\x8b": struct.pack("<l", 4) + b"abcd"}
    for code_, argument in arguments.items():
        yield f"opcode {code_!r}", parts.with_attribute(code_.encode("latin1") + argument)
    for code_ in b"012dlo\x97\x98\x80\x85\x86\x87astuebRQ\x81\x90\x91\x92\x93":
        yield (
            f"opcode {chr(code_)!r} at the start",
            parts.with_pickle(b"\x80\x02" + bytes([code_]) + b"\x04" * 8 + pickle[2:]),
        )
    for opcode in b"hjqr":
        for index in (0xFFFFFF, 0xFFFFFFFF, 0x7FFFFFFF):
            number = struct.pack("<L", index) if opcode in b"jr" else b"\xff"
            yield (
                f"opcode {chr(opcode)!r} {index}",
                parts.with_pickle(b"\x80\x02N" + bytes([opcode]) + number + b"."),
            )
    for protocol in (0, 1, 6, 255):
        yield f"protocol {protocol}", parts.with_pickle(b"\x80" + bytes([protocol]) + pickle[2:])
    yield "no protocol", parts.with_pickle(pickle[2:])
    for length in (
        0,
        1,
        2,
        3,
        len(pickle) // 3,
        len(pickle) // 2,
        len(pickle) - 2,
        len(pickle) - 1,
    ):
        yield f"a pickle of {length} bytes", parts.with_pickle(pickle[:length])
    yield "a pickle and more", parts.with_pickle(pickle + b"N.")
    yield "two values", parts.with_pickle(b"\x80\x02NN.")
    yield "an open mark", parts.with_pickle(b"\x80\x02(" + pickle[2:])
    yield "a name that is not text", parts.with_attribute(NONE + NONE + b"\x93")
    yield "a name that is not UTF-8", parts.with_attribute(b"c\xff\nb\n")
    yield "keys without values", parts.with_attribute(b"}(NNNu")
    yield "items of a number", parts.with_attribute(b"K\1(NNu")
    yield "a dictionary's items as a list's", parts.with_attribute(b"}(NNe")
    yield "a state of a number", parts.with_attribute(b"K\1}b")
    yield "arguments that are a list", parts.with_attribute(name("collections OrderedDict") + b"]R")


def bombs(parts: Parts) -> Iterator[Named]:
    """What is cheap to write and expensive to have."""
    for label, value in bomb_values(parts.puts):
        yield label, parts.with_attribute(value)
    yield "a million lists", parts.with_pickle(b"\x80\x02" + b"]" * 1_000_000 + b".")
    yield "a million marks", parts.with_pickle(b"\x80\x02" + b"(" * 1_000_000 + b".")
    yield "a text of 4 GiB", parts.with_pickle(b"\x80\x02X\xff\xff\xff\xff.")
    yield "bytes of 8 EiB", parts.with_pickle(b"\x80\x04\x8e" + b"\xff" * 7 + b"\x7f.")
    yield "text of 8 EiB", parts.with_pickle(b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.")


def bomb_values(puts: int) -> Iterator[Named]:
    """The bombs that are a value, for a pickle that has `puts` values in its memo."""
    depth = 20_000
    lists, tuples = b"](%s%se", b"%s%s\x86"
    yield "a deep list", b"]" * depth + b"a" * (depth - 1)
    yield "a deep tuple", NOTHING + b"\x85" * depth
    yield "a deep dictionary", (b"}" + text("k")) * depth + NONE + b"s" * depth
    yield "deep calls", name("torch Size") * depth + NONE + b"\x85R" * depth
    yield "deep persistent ids", NONE + b"Q" * depth + b"\x85" * 40
    yield "a billion laughs of lists", _laughs(puts, lists)
    yield "a billion laughs of tuples", _laughs(puts, tuples)
    yield (
        "a billion laughs of dictionaries",
        _laughs(puts, b"}(" + text("a") + b"%s" + text("b") + b"%su"),
    )
    yield "a billion laughs of calls", _laughs(puts, name("torch device") + b"%s%s\x86R")
    yield "a tuple as key, slow to hash", b"}" + _laughs(puts, tuples) + NONE + b"s"
    yield (
        "a tuple in a set, slow to hash",
        call("__builtin__ set", b"](" + _laughs(puts, tuples) + b"e"),
    )
    yield "a list that contains itself", b"]\x94" + recall(puts) + b"a"
    yield "a dictionary that contains itself", b"}\x94" + text("k") + recall(puts) + b"s"
    yield "a call that contains itself", name("torch device") + b"]\x94" + recall(puts) + b"a\x85R"
    yield "a long integer", b"\x8a\xff" + b"\x7f" * 255
    yield "a very long integer", b"\x8b" + struct.pack("<l", 500_000) + b"\x7f" * 500_000
    yield "a long decimal", b"I" + b"9" * 500_000 + b"\n"
    yield "keys that are lists", b"}(" + b"]N" * 1000 + b"u"
    yield (
        "more values than a model has",
        b"](" + b"}" * 140_000 + b"e" + b"\x94" + recall(puts) + b"\x86",
    )


def _laughs(puts: int, twice: bytes, levels: int = 60) -> bytes:
    """A tuple of values, each of which holds the one before it twice."""
    made = b"(]\x94"
    for level in range(levels):
        made += twice % (recall(puts + level), recall(puts + level)) + b"\x94"
    return made + b"t"


# modules and tensors


def module(
    path: str,
    *,
    modules: bytes = b"}",
    parameters: bytes = b"}",
    buffers: bytes = b"}",
    **more: bytes,
) -> bytes:
    """A module of the class at `path`."""
    state = {"_parameters": parameters, "_buffers": buffers, "_modules": modules, **more}
    return name(path) + NOTHING + b"\x81" + dictionary(**state) + b"b"


def modules(parts: Parts) -> Iterator[Named]:
    """Models that are none, or without end."""
    plain = "torch.nn.modules.module Module"
    shared = module(plain) + b"\x94"
    for level in range(28):
        shared = module(plain, modules=dictionary(a=shared, b=recall(level))) + b"\x94"
    deep = module(plain)
    for _ in range(2000):
        deep = module(plain, modules=dictionary(a=deep))
    itself = (
        name(plain)
        + NOTHING
        + b"\x81\x94"
        + dictionary(_parameters=b"}", _buffers=b"}", _modules=dictionary(a=recall(0)))
        + b"b"
    )
    tensor = call("torch._utils _rebuild_tensor_v2", *[NONE] * 6)
    odd = (
        b"]("
        + b"}("
        + b"".join(text(f"{n}") + NONE for n in range(5000))
        + b"K\1Nu\x94"
        + recall(0) * 5000
        + b"e"
    )
    wide = (
        dictionary(
            **{f"_{n}_hooks": NONE for n in range(5000)},
            _parameters=b"}",
            _buffers=b"}",
            _modules=b"}",
        )
        + b"\x94"
    )
    copies = {f"m{n}": name(plain) + NOTHING + b"\x81" + recall(0) + b"b" for n in range(5000)}
    first = dictionary(first=name(plain) + NOTHING + b"\x81" + wide + b"b", **copies)
    roots = {
        "modules that share a wide state": module(plain, modules=first),
        "a long dictionary with one odd key, often": module(plain, value=odd),
        "None": NONE,
        "a number": b"K\1",
        "a text": text("model"),
        "a list": b"]",
        "a set": b"\x8f",
        "a class": name(plain),
        "a function": name("torch.nn.functional silu"),
        "a tensor": tensor,
        "a tuple with a module": module(plain) + b"\x85",
        "a state dict": call("collections OrderedDict"),
        "a checkpoint": dictionary(model=b"}", optimizer=b"}", epoch=b"K\1"),
        "a module without state": name(plain) + NOTHING + b"\x81",
        "a module whose state is a list": name(plain) + NOTHING + b"\x81]b",
        "a module without modules": name(plain)
        + NOTHING
        + b"\x81"
        + dictionary(_parameters=b"}", _buffers=b"}")
        + b"b",
        "a module with arguments": name(plain)
        + b"N\x85\x81"
        + dictionary(_parameters=b"}", _buffers=b"}", _modules=b"}")
        + b"b",
        "a module with items": module(plain) + b"Na",
        "a module with keys": module(plain) + text("k") + NONE + b"s",
        "modules in a list": module(plain, modules=b"]"),
        "parameters in a tuple": module(plain, parameters=NOTHING),
        "a parameter that is a number": module(plain, parameters=dictionary(a=b"K\1")),
        "a parameter that is a module": module(plain, parameters=dictionary(a=module(plain))),
        "a parameter without arguments": module(
            plain, parameters=dictionary(a=call("torch._utils _rebuild_parameter"))
        ),
        "a buffer that is a call": module(
            plain, buffers=dictionary(a=call("torch device", text("cpu")))
        ),
        "a child that is a text": module(plain, modules=dictionary(a=text("child"))),
        "a child that is a class": module(plain, modules=dictionary(a=name(plain))),
        "a child with a dotted name": module(plain, modules=dictionary(**{"a.b": module(plain)})),
        "a child without a name": module(plain, modules=dictionary(**{"": module(plain)})),
        "a child with a number as name": module(plain, modules=b"}K\1" + module(plain) + b"s"),
        "two children of one name": module(
            plain, modules=b"}(" + (text("a") + module(plain)) * 2 + b"u"
        ),
        "children that are shared": shared,
        "children without end": deep,
        "a child that is its parent": itself,
    }
    for label, opcodes_ in roots.items():
        yield f"{label} instead of a model", parts.with_pickle(b"\x80\x02" + opcodes_ + b".")


def tensor(
    storage: bytes, offset: bytes = b"K\0", size: bytes = b"K\4\x85", stride: bytes = b"K\1\x85"
) -> bytes:
    """A tensor as torch pickles it."""
    return call(
        "torch._utils _rebuild_tensor_v2",
        storage,
        offset,
        size,
        stride,
        FALSE,
        call("collections OrderedDict"),
    )


def storage(
    kind: str = "torch FloatStorage", key: bytes = text("planted"), length: int = 4
) -> bytes:
    """The persistent id of a storage."""
    return several(text("storage"), name(kind), key, text("cpu"), integer(length)) + b"Q"


def honest_tensor(parts: Parts) -> bytes:
    """A file with one more tensor, of four numbers, from which the lies of `tensors` differ."""
    return parts.with_attribute(tensor(storage()), "planted", ("data/planted", b"\0" * 16))


def tensors(parts: Parts) -> Iterator[Named]:
    """Tensors that do not fit their storages."""

    def number(value: int) -> bytes:
        return integer(value) + b"\x85"

    good = storage()
    lies = {
        "a stride beyond": tensor(good, stride=number(2)),
        "a huge stride": tensor(good, stride=number(2**62)),
        "a negative stride": tensor(good, stride=number(-1)),
        "an offset beyond": tensor(good, offset=b"K\1"),
        "a negative offset": tensor(good, offset=integer(-1)),
        "a huge offset": tensor(good, offset=integer(2**63 - 1)),
        "a size beyond": tensor(good, size=number(5)),
        "a negative size": tensor(good, size=number(-4)),
        "a huge size, expanded": tensor(good, size=number(2**40), stride=number(0)),
        "sizes whose product overflows": tensor(
            good, size=several(*[integer(2**32)] * 2), stride=several(b"K\0", b"K\0")
        ),
        "a huge empty size": tensor(
            good, size=several(b"K\0", integer(2**63 - 1)), stride=several(b"K\1", b"K\1")
        ),
        "an empty size whose product overflows": tensor(
            good, size=several(b"K\0", *[integer(2**31)] * 3), stride=several(*[b"K\1"] * 4)
        ),
        "an expanded tensor": tensor(
            good, size=several(b"K\2", b"K\4"), stride=several(b"K\0", b"K\1")
        ),
        "too few strides": tensor(good, size=several(b"K\2", b"K\2")),
        "too many dimensions": tensor(
            good, size=several(*[b"K\1"] * 100), stride=several(*[b"K\1"] * 100)
        ),
        "a truth value as size": tensor(good, size=TRUE + b"\x85"),
        "a float as size": tensor(good, size=b"G" + struct.pack(">d", 4.0) + b"\x85"),
        "sizes in a list": tensor(good, size=b"](K\4e"),
        "no size": tensor(good, size=NONE),
        "more numbers than the storage": tensor(storage(length=5)),
        "fewer numbers than the storage": tensor(storage(length=3)),
        "negative numbers": tensor(storage(length=-4)),
        "another type": tensor(storage("torch DoubleStorage")),
        "a type of no length": tensor(storage("torch BoolStorage", length=4)),
        "a quantised storage": tensor(storage("torch QInt8Storage", length=16)),
        "an untyped storage": tensor(storage("torch.storage UntypedStorage", length=16)),
        "a function as type": tensor(storage("torch.nn.functional silu")),
        "a missing storage": tensor(storage(key=text("absent"))),
        "a storage outside": tensor(storage(key=text("../version"))),
        "a storage elsewhere": tensor(storage(key=text("/etc/passwd"))),
        "a number as key": tensor(storage(key=b"K\0")),
        "a list as key": tensor(storage(key=b"]")),
        "no storage": tensor(NONE),
        "a text as storage": tensor(text("storage")),
        "an empty persistent id": tensor(NOTHING + b"Q"),
        "a module as persistent id": tensor(several(text("module"), *[NONE] * 4) + b"Q"),
        "a tensor as storage": tensor(tensor(good)),
        "too few arguments": call("torch._utils _rebuild_tensor_v2", good),
        "a sparse tensor": call("torch._utils _rebuild_sparse_tensor", good, NONE),
        "a quantised tensor": call("torch._utils _rebuild_qtensor", good, *[NONE] * 6),
        "a tensor without data": call("torch._utils _rebuild_meta_tensor_no_storage", *[NONE] * 4),
        "a parameter of a parameter": call(
            "torch._utils _rebuild_parameter", call("torch._utils _rebuild_parameter", NONE)
        ),
    }
    for label, opcodes_ in lies.items():
        data = b"\2" * 4 if "no length" in label else b"\0" * 16
        yield label, parts.with_attribute(opcodes_, "planted", ("data/planted", data))
    yield (
        "storage that ends within a number",
        parts.with_attribute(tensor(good), "planted", ("data/planted", b"\0" * 15)),
    )
