"""The modules of a mace-torch `.model` file, as the importer sees them: attributes, tensors and
children, nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mhff.errors import MHFFError
from mhff.interop.torchfile.archive import Archive, read_archive
from mhff.interop.torchfile.names import TORCH_FUNCTIONS, check_names
from mhff.interop.torchfile.opcodes import read_pickle
from mhff.interop.torchfile.pickled import Global, Pairs, Record, described
from mhff.interop.torchfile.refusals import DamagedError, ForeignError, RefusedError, quoted
from mhff.interop.torchfile.tensors import Storages
from mhff.interop.torchfile.values import MOST_LEVELS, Inert, Plain

_GENERATED = "torch.fx.graph_module.reduce_graph_module"
_OF_TORCH = re.compile(
    r"_parameters|_buffers|_modules|_non_persistent_buffers_set|_is_full_backward_hook|_\w+_hooks\w*"
)
_CODE = "__codegen__"
_COUPLING_CODE = "_compiled_main_left_right"
_COUPLING = re.compile(r"_w3j_([0-9])_([0-9])_([0-9])")
_ADVICE = "give a .model file of mace-torch, which holds a whole model"
_FUNCTIONS = ("silu", "sigmoid", "tanh", "abs")
_FUNCTION_MODULES = ("torch.nn.functional", "torch._C._nn")
_IRREP = re.compile(r"(?:([0-9]{1,9})x)?([0-9]{1,2})([eo])")
_COST_OF_MODULE, _COST_OF_TENSOR = (
    50,
    5,
)  # in values; shared ones are few in a pickle and can be many in the model
_MOST_CODE_OPCODES = 10_000  # ten times what torch writes for a tensor product

Couplings = Mapping[tuple[int, int, int], torch.Tensor]


@dataclass(frozen=True, eq=False, repr=False)
class ModuleRecord:
    """A module of the model in a file: what it holds, and the path of a class that nobody imports."""

    path: str
    """Dotted path inside the model, empty for the root."""
    class_path: str
    """For example `mace.modules.models.ScaleShiftMACE`."""
    attributes: Mapping[str, Any]
    """Plain attributes: see `values.Plain` for what they can be."""
    parameters: Mapping[str, torch.Tensor]
    buffers: Mapping[str, torch.Tensor]
    children: Mapping[str, ModuleRecord]
    """Modules below, except those of generated code."""
    not_persistent: frozenset[str]
    """Buffers that torch leaves out of the state dict."""
    couplings: Couplings

    def __repr__(self) -> str:
        return f"<module {quoted(self.path)} of class {quoted(self.class_path)}>"

    @property
    def class_name(self) -> str:
        """Name of the class without its module."""
        return self.class_path.rpartition(".")[2]

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The module's own parameters and buffers."""
        return {**self.parameters, **self.buffers}

    def child(self, dotted: str) -> ModuleRecord:
        """The module at a dotted path below this one; raises ForeignError where there is none."""
        record = self
        for name in dotted.split("."):
            if name not in record.children:
                where = (
                    f"'{record.path}' ({record.class_name})" if record.path else record.class_name
                )
                raise ForeignError(f"has no module '{name}' in {where}")
            record = record.children[name]
        return record

    def walk(self) -> Iterator[ModuleRecord]:
        """This module and all below, in torch's order."""
        yield self
        for child in self.children.values():
            yield from child.walk()

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Tensors by dotted name below this module, in torch's order and with torch's names."""
        found: dict[str, torch.Tensor] = {}
        for module in self.walk():
            prefix = module.path.removeprefix(self.path).removeprefix(".")
            for name, tensor in module.tensors.items():
                if name not in module.not_persistent:
                    found[f"{prefix}.{name}" if prefix else name] = tensor
        return found

    def coupling_tensors(self) -> dict[tuple[int, int, int], torch.Tensor]:
        """Coupling tensors by (l1, l2, l3) that the generated code of a tensor product holds; empty
        where there are none.
        """
        return dict(self.couplings)


def read_model_file(path: str | os.PathLike[str]) -> ModuleRecord:
    """The model in a file that `torch.save` wrote of it; nothing in the file is run.

    Raises MHFFError, in one sentence, for a file that is missing, truncated, damaged, or holds
    anything else.
    """
    try:
        return _model(read_archive(Path(path)))
    except RefusedError as error:
        raise MHFFError(error.sentence(str(path))) from error


def _model(archive: Archive) -> ModuleRecord:
    pickled = read_pickle(bytes(archive["data.pkl"]))
    _check_root(pickled.value)
    check_names(pickled)
    return _Reader(archive).module(pickled.value, "")


def _check_root(value: object) -> None:
    """Say what a file without a module holds instead, where people give such files."""
    if isinstance(value, Record) and value.path == "collections.OrderedDict":
        value = value.pairs
    if not isinstance(value, Pairs):
        return
    keys = [key for key, _ in value.items if isinstance(key, str)]
    if "model" in keys and "optimizer" in keys:
        raise ForeignError(
            "is a checkpoint of a training, which has weights but not the model's settings; give "
            "the .model file that the "
            "same training wrote"
        )
    shown = (
        f"a dictionary ({', '.join(map(quoted, keys[:3]))}, ...)" if keys else "an empty dictionary"
    )
    raise ForeignError(f"holds {shown}, not a model; {_ADVICE}")


class _Reader:
    """Makes module records of one pickle, within a bound on their number and depth."""

    def __init__(self, archive: Archive) -> None:
        self._storages = Storages(archive)
        self._plain = Plain(self._storages)
        self._code: dict[int, Couplings] = {}
        self._code_left = len(archive["data.pkl"])

    def module(self, value: object, path: str, level: int = 0) -> ModuleRecord:
        """The module that a record stands for, with all below."""
        self._plain.spend(_COST_OF_MODULE)
        if not isinstance(value, Record) or not isinstance(value.state, Pairs):
            raise ForeignError(
                f"has {described(value)} where {quoted(path) if path else 'its model'} belongs; "
                f"{_ADVICE}"
            )
        if not value.path or value.args or value.items or value.pairs.items:
            raise DamagedError("it has a module that is more than its state")
        if level > MOST_LEVELS:
            raise DamagedError("its modules are nested too deeply")
        state = self._plain.entries(value.state)
        if not all(name in state for name in ("_parameters", "_buffers", "_modules")):
            raise ForeignError(
                f"has {described(value)} where {quoted(path) if path else 'its model'} belongs; "
                f"{_ADVICE}"
            )
        prefix = f"{path}." if path else ""
        not_persistent = self._plain(state.get("_non_persistent_buffers_set"))
        return ModuleRecord(
            path,
            value.path,
            {
                name: self._plain(item)
                for name, item in state.items()
                if name != _CODE and not _OF_TORCH.fullmatch(name)
            },
            self._tensors(state["_parameters"]),
            self._tensors(state["_buffers"]),
            {
                name: self.module(child, prefix + name, level + 1)
                for name, child in self._named(state["_modules"]).items()
                if not (isinstance(child, Record) and child.path == _GENERATED)
            },
            frozenset(not_persistent) if isinstance(not_persistent, set) else frozenset(),
            self._couplings(state.get(_CODE)),
        )

    def _tensors(self, value: Any) -> dict[str, torch.Tensor]:
        return {name: self._storages.tensor(item) for name, item in self._named(value).items()}

    def _named(self, value: Any) -> dict[str, Any]:
        """Tensors or modules by name, without those that are None."""
        found = {
            name: item for name, item in self._plain.entries(value).items() if item is not None
        }
        if any("." in name or not name for name in found):
            raise DamagedError("it has a module or tensor with an odd name")
        self._plain.spend(_COST_OF_TENSOR * len(found))
        return found

    def _couplings(self, code: Any) -> Couplings:
        """Coupling tensors in the generated code of a module, whose TorchScript is not read."""
        content = self._plain.entries(code).get(_COUPLING_CODE) if isinstance(code, Pairs) else None
        if content is None:
            return {}
        if id(content) not in self._code:
            plain = self._plain(content)
            if not isinstance(plain, bytes):
                raise ForeignError(
                    "has generated code of another e3nn than 0.4.4; save it again with the e3nn of "
                    "mace-torch"
                )
            self._code_left -= len(plain)
            if self._code_left < 0:
                raise DamagedError("it has more generated code than its pickle can hold")
            self._code[id(content)] = _read_couplings(plain, self._plain)
        return self._code[id(content)]


def _read_couplings(content: bytes, plain: Plain) -> Couplings:
    archive = Archive(bytearray(content))
    pickled = read_pickle(bytes(archive["data.pkl"]), _MOST_CODE_OPCODES)
    check_names(pickled)
    if not isinstance(pickled.value, Record):
        raise DamagedError("its generated code holds no module")
    storages = Storages(archive)
    found = {}
    for name, value in plain.entries(pickled.value.state).items():
        if match := _COUPLING.fullmatch(name):
            l1, l2, l3 = (int(degree) for degree in match.groups())
            found[l1, l2, l3] = storages.tensor(value)
            if found[l1, l2, l3].shape != (2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1):
                raise DamagedError(
                    f"coupling tensor {quoted(name)} has another shape than its name says"
                )
    return found


def irreps(value: Any) -> tuple[tuple[int, int, int], ...]:
    """(multiplicity, l, parity) of every entry, from an Irreps object of e3nn or a string such as
    '6x0e+3x1o'.
    """
    match value:
        case str():
            return _parsed(value)
        case Inert(path="e3nn.o3._irreps.Irreps", args=(tuple() as blocks,)):
            return tuple(_block(block) for block in blocks)
    raise ForeignError(f"has a value of type {type(value).__name__} where irreps belong")


def _block(value: Any) -> tuple[int, int, int]:
    match value:
        case Inert(args=(int() as count, Inert(args=(int() as degree, int() as parity)))):
            return _checked(count, degree, parity)
        case Inert(args=((int() as count, Inert(args=((int() as degree, int() as parity),))),)):
            return _checked(count, degree, parity)
    raise ForeignError("has irreps that cannot be read")


def _parsed(text: str) -> tuple[tuple[int, int, int], ...]:
    blocks = text.replace(" ", "").split("+") if text.strip() else []
    found = [_IRREP.fullmatch(block) for block in blocks]
    if None in found:
        raise ForeignError(f"has {quoted(text)} where irreps belong")
    groups = [match.groups() for match in found if match]
    return tuple(
        _checked(int(count or 1), int(degree), 1 if parity == "e" else -1)
        for count, degree, parity in groups
    )


def _checked(count: int, degree: int, parity: int) -> tuple[int, int, int]:
    if not (0 <= count < 10**9 and 0 <= degree < 100 and parity in (1, -1)):
        raise ForeignError(f"has the irrep {quoted((count, degree, parity))}, which there is not")
    return count, degree, parity


def function_name(value: Any) -> str | None:
    """Name of an activation function, one of silu, sigmoid, tanh and abs; None for none."""
    match value:
        case None:
            return None
        case Global(module=module, name=name) if module in _FUNCTION_MODULES and name in _FUNCTIONS:
            return name
        case Inert(path="builtins.getattr", args=(Global(path=path), str() as name)) if (
            path == TORCH_FUNCTIONS and name in _FUNCTIONS
        ):
            return name
    what = value.path if isinstance(value, Global | Inert) else type(value).__name__
    raise ForeignError(f"has the function {quoted(what)}, mhff knows {', '.join(_FUNCTIONS)}")
