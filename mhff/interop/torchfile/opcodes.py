"""A pickle read as data: an interpreter of its opcodes that can only make inert values.

The readers of `pickletools` take arguments apart and execute nothing. The opcodes that `torch.save`
and TorchScript write are carried out here on plain values; all others are refused unread. An import
becomes a `Global` (a name), a call or a new object becomes a `Record` of that name and its
arguments. Nothing is imported, called, hashed or compared, and nothing is allocated beyond what the
bytes hold, so a hostile pickle is as harmless as a hostile text. The result may share parts and
contain itself, so a walk through it needs a bound (`values` has one).
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from io import BytesIO
from types import NoneType
from typing import Any

from mhff.interop.torchfile.pickled import Global, Pairs, PersistentId, Pickled, Record, described
from mhff.interop.torchfile.refusals import DamagedError, ForeignError, quoted

MAX_OPCODES = 500_000
"""Published models have about 20 000, because their numbers are not in the pickle.

Cuequivariance's polynomials take up to 290 000, with l up to 2 between layers.
"""
_MAX_INTEGER_BITS = 64
# keys of a dictionary; a tuple of shared tuples of shared tuples would take forever to hash
_KEYS = (str, bytes, int, float, NoneType)


def read_pickle(content: bytes, max_opcodes: int = MAX_OPCODES) -> Pickled:
    """The value of a pickle of protocol 2 to 5; raises DamagedError for any other."""
    if content[:1] != b"\x80" or content[1:2] not in (b"\2", b"\3", b"\4", b"\5"):
        raise DamagedError("its pickle is not of protocol 2 to 5")
    machine = _Machine()
    stream = BytesIO(content)
    stream.seek(2)
    for _ in range(max_opcodes):
        code = stream.read(1)
        if code == b".":
            if stream.tell() != len(content):
                raise DamagedError("something follows its pickle")
            return Pickled(machine.result(), machine.names, machine.records)
        if not code:
            raise DamagedError("its pickle has no end")
        if code not in _OPCODES:
            raise DamagedError(
                f"its pickle has the opcode {quoted(code.decode('latin1'))}, which torch does not "
                "write"
            )
        reader, action = _OPCODES[code]
        try:
            argument = reader(stream)
        except ValueError as error:
            raise DamagedError(f"its pickle cannot be taken apart: {quoted(error)}") from error
        action(machine, argument)
    raise DamagedError(f"its pickle has more than {max_opcodes} opcodes")


class _Machine:
    """Stack, marks and memo of a pickle, as the protocol defines them."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # stacks under the marks
        self.memo: list[Any] = []
        self.names: list[Global] = []
        self.records: list[Record] = []

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        if not self.stack:
            raise DamagedError("its pickle takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise DamagedError("its pickle changes a value of an empty stack")
        return self.stack[-1]

    def pop_typed(self, kind: type) -> Any:
        value = self.pop()
        if type(value) is not kind:
            raise DamagedError(
                f"its pickle has {described(value)} where it needs another kind of value"
            )
        return value

    def mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def pop_mark(self) -> list[Any]:
        """Everything above the last mark."""
        if not self.below:
            raise DamagedError("its pickle has no mark where one is needed")
        items = self.stack
        self.stack = self.below.pop()
        return items

    def put(self, index: int) -> None:
        """Remember the top; torch numbers in order, so a large index needs no large memo."""
        if index != len(self.memo) or not self.stack:
            raise DamagedError("the memo of its pickle is not in order")
        self.memo.append(self.stack[-1])

    def get(self, index: int) -> None:
        if index >= len(self.memo):
            raise DamagedError(f"its pickle recalls an index that is not in its memo ({index})")
        self.push(self.memo[index])

    def name(self, module: str, name: str) -> None:
        self.names.append(Global(module, name))
        self.push(self.names[-1])

    def record(self, what: Any, args: Any) -> None:
        self.records.append(Record(what, args))
        self.push(self.records[-1])

    def text(self, value: str) -> None:
        try:
            value.encode()
        except UnicodeEncodeError as error:  # half of a surrogate pair
            raise DamagedError("its pickle has text that is not UTF-8") from error
        self.push(value)

    def integer(self, value: int) -> None:
        if value.bit_length() > _MAX_INTEGER_BITS:
            raise DamagedError(f"its pickle has an integer of {value.bit_length()} bits")
        self.push(value)

    def result(self) -> Any:
        if self.below or len(self.stack) != 1:
            raise DamagedError("its pickle does not end with one value")
        return self.stack[0]


def _global(machine: _Machine, argument: tuple[str, str]) -> None:
    machine.name(*argument)


def _stack_global(machine: _Machine, argument: None) -> None:
    name = machine.pop_typed(str)
    module = machine.pop_typed(str)
    machine.name(module, name)


def _call(machine: _Machine, argument: None) -> None:
    args = machine.pop_typed(tuple)
    machine.record(machine.pop(), args)


def _call_with_keywords(machine: _Machine, argument: None) -> None:
    keywords = machine.pop_typed(Pairs)
    args = machine.pop_typed(tuple)
    machine.record(machine.pop(), (*args, keywords))


def _build(machine: _Machine, argument: None) -> None:
    state = machine.pop()
    record = machine.top()
    if not isinstance(record, Record) or record.state is not None:
        raise DamagedError(f"its pickle gives {described(record)} a state that it cannot take")
    record.state = state


def _tuple(size: int) -> Callable[[_Machine, None], None]:
    def action(machine: _Machine, argument: None) -> None:
        machine.push(tuple(reversed([machine.pop() for _ in range(size)])))

    return action


def _append(machine: _Machine, items: list[Any]) -> None:
    target = machine.top()
    if isinstance(target, Record):
        target = target.items
    if not isinstance(target, list):
        raise DamagedError(f"its pickle appends to {described(target)}")
    target.extend(items)


def _set_items(machine: _Machine, items: list[Any]) -> None:
    target = machine.top()
    if isinstance(target, Record):
        target = target.pairs
    if not isinstance(target, Pairs) or len(items) % 2:
        raise DamagedError(f"its pickle sets keys of {described(target)}")
    if not all(_is_key(key) for key in items[::2]):
        raise ForeignError("has a dictionary whose keys are neither text nor numbers")
    target.items.extend(zip(items[::2], items[1::2], strict=True))


def _is_key(value: object) -> bool:
    """Whether a value is a key that a model may have; low-rank adapters have pairs of integers."""
    if isinstance(value, tuple) and len(value) == 2:
        return all(type(part) is int for part in value)
    return isinstance(value, _KEYS)


_SET = Global("builtins", "set")
_FROZEN_SET = Global("builtins", "frozenset")


def _pushes(value: Any) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(value)


_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "FRAME": lambda machine, length: None,
    "NONE": _pushes(None),
    "NEWTRUE": _pushes(True),
    "NEWFALSE": _pushes(False),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _Machine.integer),
    **dict.fromkeys(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"), _Machine.text),
    **dict.fromkeys(("BINFLOAT", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _Machine.push),
    "BYTEARRAY8": lambda machine, content: machine.push(bytes(content)),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push(Pairs()),
    "EMPTY_SET": lambda machine, _: machine.record(_SET, ()),
    "FROZENSET": lambda machine, _: machine.record(_FROZEN_SET, (machine.pop_mark(),)),
    "EMPTY_TUPLE": _pushes(()),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_mark())),
    "APPEND": lambda machine, _: _append(machine, [machine.pop()]),
    "APPENDS": lambda machine, _: _append(machine, machine.pop_mark()),
    "ADDITEMS": lambda machine, _: _append(machine, machine.pop_mark()),
    "SETITEM": lambda machine, _: _set_items(machine, [machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.pop_mark()),
    "MARK": lambda machine, _: machine.mark(),
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _call,
    "NEWOBJ": _call,
    "NEWOBJ_EX": _call_with_keywords,
    "BUILD": _build,
    "BINPERSID": lambda machine, _: machine.push(PersistentId(machine.pop())),
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
}


def _two_lines(stream: BytesIO) -> tuple[str, str]:
    """Argument of GLOBAL, as pickle reads it (pickletools also undoes escapes)."""
    lines = [stream.readline() for _ in range(2)]
    if not all(line.endswith(b"\n") for line in lines):
        raise ValueError("a name is cut off")
    return lines[0][:-1].decode(), lines[1][:-1].decode()


def _reader(opcode: pickletools.OpcodeInfo) -> Callable[[BytesIO], Any]:
    """Function that reads an opcode's argument."""
    if opcode.name == "GLOBAL":
        return _two_lines
    return opcode.arg.reader if opcode.arg else lambda stream: None


_OPCODES = {
    opcode.code.encode("latin1"): (_reader(opcode), _ACTIONS[opcode.name])
    for opcode in pickletools.opcodes
    if opcode.name in _ACTIONS
}
