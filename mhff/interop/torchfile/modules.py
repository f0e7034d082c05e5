"""The modules in a file that `torch.save` wrote of a model: attributes, tensors and children."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mhff.interop.torchfile.archive import Archive, open_archive
from mhff.interop.torchfile.names import check_names
from mhff.interop.torchfile.opcodes import read_pickle
from mhff.interop.torchfile.pickled import Pairs, Record, described
from mhff.interop.torchfile.refusals import DamagedError, ForeignError, quoted
from mhff.interop.torchfile.tensors import Storages
from mhff.interop.torchfile.values import MAX_LEVELS, Plain

ARGUMENTS = "arguments"
"""Attribute of a module that a pickle makes by a call: a tuple."""
_GENERATED = "torch.fx.graph_module.reduce_graph_module"
_OF_TORCH = re.compile(
    r"_parameters|_buffers|_modules|_non_persistent_buffers_set|_is_full_backward_hook|_\w+_hooks\w*"
)
# costs in values, since parts that a pickle shares are few in it and can be many in the model
_COST_OF_MODULE = 50
_COST_OF_TENSOR = 5
_MAX_SCRIPT_OPCODES = 10_000  # ten times what torch writes for a tensor product


@dataclass(frozen=True)
class Scripts:
    """The place of TorchScript in a library's modules, and the tensors that are read from it."""

    attribute: str
    """Attribute of a module, a dictionary."""
    key: str
    """Key of the archive's bytes in that dictionary."""
    tensors: re.Pattern[str]
    """Names of the tensors that are read; the code is not."""


@dataclass(frozen=True)
class LibraryFormat:
    """The names and code that the files of one library may hold."""

    packages: tuple[str, ...] = ()
    """Beginnings of dotted paths of its classes and functions."""
    scripts: Scripts | None = None
    made_by_calls: frozenset[str] = frozenset()
    """Classes of modules that a pickle makes anew by a call, of which it holds the arguments."""
    with_states: frozenset[str] = frozenset()
    """Classes of plain objects whose states are read."""


@dataclass(frozen=True, eq=False, repr=False)
class ModuleRecord:
    """A module of the model in a file; its class is a name and never imported."""

    path: str
    """Dotted path inside the model, empty for the root."""
    class_path: str
    """Dotted path of the class."""
    attributes: Mapping[str, Any]
    """Plain attributes: see `values.Plain` for what they can be."""
    parameters: Mapping[str, torch.Tensor]
    buffers: Mapping[str, torch.Tensor]
    children: Mapping[str, ModuleRecord]
    """Modules below, except those of generated code."""
    not_persistent: frozenset[str]
    """Buffers that torch leaves out of the state dict."""
    script_tensors: Mapping[str, torch.Tensor]
    """Tensors in the module's TorchScript, by name; see `Scripts`."""

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


def read_model(content: bytearray, library: LibraryFormat) -> ModuleRecord:
    """The model in the content of a file; nothing in it is run.

    The tensors are views of `content`. Raises RefusedError for content that is damaged or of
    another kind.
    """
    archive = open_archive(content)
    pickled = read_pickle(bytes(archive["data.pkl"]))
    _check_root(pickled.value)
    check_names(pickled, library.packages)
    return _Reader(archive, library).module(pickled.value, "")


def _check_root(value: object) -> None:
    """Refuse a file without a module; say what it holds instead if that is a common case."""
    if isinstance(value, Record) and value.path == "collections.OrderedDict":
        value = value.pairs
    if not isinstance(value, Pairs):
        return
    keys = [key for key, _ in value.items if isinstance(key, str)]
    if "model" in keys and "optimizer" in keys:
        raise ForeignError(
            "is a checkpoint of a training, which has weights but not the model's settings",
            "give the model file that the same training wrote",
        )
    if not keys:
        raise ForeignError("holds an empty dictionary, not a model")
    raise ForeignError(f"holds a dictionary ({', '.join(map(quoted, keys[:3]))}, ...), not a model")


class _Reader:
    """Makes module records of one pickle, within a bound on their number and depth."""

    def __init__(self, archive: Archive, library: LibraryFormat) -> None:
        self._library = library
        self._storages = Storages(archive)
        self._plain = Plain(self._storages, library.with_states)
        self._scripts: dict[int, dict[str, torch.Tensor]] = {}
        self._script_bytes_left = len(archive["data.pkl"])

    def module(self, value: object, path: str, level: int = 0) -> ModuleRecord:
        """The module that a record stands for, with all modules below it."""
        self._plain.spend(_COST_OF_MODULE)
        if isinstance(value, Record) and value.path in self._library.made_by_calls:
            return self._called(value, path)
        if not isinstance(value, Record) or not isinstance(value.state, Pairs):
            raise _not_a_module(value, path)
        if not value.path or value.args or value.items or value.pairs.items:
            raise DamagedError("it has a module that is more than its state")
        if level > MAX_LEVELS:
            raise DamagedError("its modules are nested too deeply")
        state = self._plain.entries(value.state)
        if not {"_parameters", "_buffers", "_modules"} <= state.keys():
            raise _not_a_module(value, path)
        not_persistent = self._plain(state.get("_non_persistent_buffers_set"))
        return ModuleRecord(
            path=path,
            class_path=value.path,
            attributes=self._attributes(state),
            parameters=self._tensors(state["_parameters"]),
            buffers=self._tensors(state["_buffers"]),
            children=self._children(state["_modules"], path, level),
            not_persistent=frozenset(not_persistent if isinstance(not_persistent, set) else ()),
            script_tensors=self._script_tensors(state),
        )

    def _called(self, value: Record, path: str) -> ModuleRecord:
        """A module that is made by a call, with its arguments as its only attribute."""
        if value.state is not None or value.items or value.pairs.items:
            raise DamagedError("it has a module that is more than a call")
        arguments = {ARGUMENTS: self._plain(value.args)}
        return ModuleRecord(path, value.path, arguments, {}, {}, {}, frozenset(), {})

    def _attributes(self, state: Mapping[str, Any]) -> dict[str, Any]:
        script = self._library.scripts.attribute if self._library.scripts else None
        return {
            name: self._plain(item)
            for name, item in state.items()
            if name != script and not _OF_TORCH.fullmatch(name)
        }

    def _children(self, value: Any, path: str, level: int) -> dict[str, ModuleRecord]:
        prefix = f"{path}." if path else ""
        return {
            name: self.module(child, prefix + name, level + 1)
            for name, child in self._named(value).items()
            if not (isinstance(child, Record) and child.path == _GENERATED)
        }

    def _tensors(self, value: Any) -> dict[str, torch.Tensor]:
        return {name: self._storages.tensor(item) for name, item in self._named(value).items()}

    def _named(self, value: Any) -> dict[str, Any]:
        """Tensors or modules by name, without those that are None."""
        entries = self._plain.entries(value)
        found = {name: item for name, item in entries.items() if item is not None}
        if any("." in name or not name for name in found):
            raise DamagedError("it has a module or tensor with an odd name")
        self._plain.spend(_COST_OF_TENSOR * len(found))
        return found

    def _script_tensors(self, state: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """Tensors in the TorchScript of a module; a script that modules share is read once."""
        scripts = self._library.scripts
        holder = state.get(scripts.attribute) if scripts else None
        if scripts is None or not isinstance(holder, Pairs):
            return {}
        content = self._plain.entries(holder).get(scripts.key)
        if content is None:
            return {}
        if id(content) not in self._scripts:
            plain = self._plain(content)
            if not isinstance(plain, bytes):
                raise ForeignError(
                    "has generated code that is not TorchScript",
                    "save it again with the versions that the model was trained with",
                )
            self._script_bytes_left -= len(plain)
            if self._script_bytes_left < 0:
                raise DamagedError("it has more generated code than its pickle can hold")
            self._scripts[id(content)] = self._read_script(plain, scripts.tensors)
        return self._scripts[id(content)]

    def _read_script(self, content: bytes, names: re.Pattern[str]) -> dict[str, torch.Tensor]:
        archive = Archive(bytearray(content))
        pickled = read_pickle(bytes(archive["data.pkl"]), _MAX_SCRIPT_OPCODES)
        check_names(pickled, self._library.packages)
        if not isinstance(pickled.value, Record):
            raise DamagedError("its generated code holds no module")
        entries = self._plain.entries(pickled.value.state)
        storages = Storages(archive)
        return {
            name: storages.tensor(value) for name, value in entries.items() if names.fullmatch(name)
        }


def _not_a_module(value: object, path: str) -> ForeignError:
    place = quoted(path) if path else "its model"
    return ForeignError(f"has {described(value)} where {place} belongs")
