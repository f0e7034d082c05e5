"""Pickles that would run code, at every place where a file has a pickle, in sound containers."""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Iterator
from pathlib import Path

from hostile_pickles import bomb_values
from pickle_opcodes import FALSE, NONE, NOTHING, TRUE, call, name, several, text
from torch_archive import Parts, archive, members

Named = tuple[str, bytes]
"""A mutation: its name and the file."""

EVALUATORS = (
    *(
        "builtins eval",
        "builtins exec",
        "__builtin__ eval",
        "__builtin__ exec",
        "timeit timeit",
        "cProfile run",
        "pdb run",
    ),
    *(
        "torch.fx.graph_module _exec_with_source",
        "code InteractiveInterpreter",
        "builtins compile",
        "trace Trace",
    ),
)
"""Names of what runs Python."""
SHELLS = (
    *(
        "os system",
        "posix system",
        "nt system",
        "os popen",
        "subprocess getoutput",
        "subprocess Popen",
        "pty spawn",
    ),
    *(
        "commands getoutput",
        "platform popen",
        "asyncio create_subprocess_shell",
        "os execl",
        "os startfile",
    ),
)
"""Names of what runs a command."""
LOADERS = (
    *(
        "builtins __import__",
        "__builtin__ __import__",
        "importlib import_module",
        "runpy run_path",
        "builtins open",
    ),
    *(
        "torch load",
        "torch.hub load",
        "torch.jit load",
        "torch.package PackageImporter",
        "torch.ops load_library",
    ),
    *(
        "pickle load",
        "pickle loads",
        "_pickle loads",
        "dill loads",
        "cloudpickle loads",
        "joblib load",
        "marshal loads",
    ),
    *(
        "numpy load",
        "numpy fromfile",
        "numpy.ctypeslib load_library",
        "ctypes CDLL",
        "shelve open",
        "pathlib Path",
    ),
    *(
        "urllib.request urlopen",
        "webbrowser open",
        "shutil rmtree",
        "os remove",
        "builtins getattr",
        "builtins setattr",
    ),
    *(
        "builtins globals",
        "operator attrgetter",
        "operator methodcaller",
        "functools partial",
        "builtins map",
    ),
    *(
        "types FunctionType",
        "types CodeType",
        "copyreg __newobj_ex__",
        "torch.storage _load_from_bytes",
    ),
    *(
        "numpy.core.multiarray _reconstruct",
        "torch._utils _rebuild_wrapper_subclass",
        "torch._tensor _rebuild_from_type_v2",
    ),
    *(
        "yaml unsafe_load",
        "logging.config listen",
        "sys.modules get",
        "e3nn.util.jit compile",
        "mace.cli.run_train main",
    ),
)
"""Names of what loads more, or leads to something that does."""


def live_calls(canary: Path) -> Iterator[Named]:
    """Opcodes that would create the file `canary`, by all ways in which a pickle can call."""
    shell, python = text(f"touch '{canary}'"), text(f"open({str(canary)!r}, 'w').close()")
    for path, argument in (
        ("os system", shell),
        ("builtins exec", python),
        ("__builtin__ eval", python),
    ):
        module, attribute = path.split()
        yield f"{path} by REDUCE", call(path, argument)
        yield (
            f"{path} by STACK_GLOBAL",
            text(module) + text(attribute) + b"\x93" + several(argument) + b"R",
        )
        yield f"{path} by INST", b"(" + argument + f"i{module}\n{attribute}\n".encode()
        yield f"{path} by OBJ", b"(" + name(path) + argument + b"o"
        yield f"{path} by SETITEM", b"}" + text("key") + call(path, argument) + b"s"
        yield f"{path} by APPENDS", b"](" + call(path, argument) + b"e"
        yield (
            f"{path} as state",
            name("collections OrderedDict") + b")R" + call(path, argument) + b"b",
        )
        yield f"{path} as persistent id", call(path, argument) + b"Q"
    imported = call("builtins __import__", text("os"))
    yield (
        "getattr of an import",
        call("builtins getattr", imported, text("system"))[:-1] + b"R" + several(shell) + b"R",
    )
    path = call("pathlib Path", text(str(canary)))
    yield (
        "a method by its dotted name",
        text("pathlib") + text("Path.touch") + b"\x93" + several(path) + b"R",
    )
    yield "a call of a call", call("operator methodcaller", text("touch")) + several(path) + b"R"


def _dangerous(canary: Path) -> Iterator[Named]:
    yield from live_calls(canary)
    for path in EVALUATORS:
        yield f"{path} of Python", call(path, text(f"open({str(canary)!r}, 'w').close()"))
    for path in SHELLS:
        yield f"{path} of a command", call(path, text(f"touch '{canary}'"))
    for path in LOADERS:
        yield f"{path} of a file", call(path, text("this"))
        yield f"{path} as a class", name(path) + several(text("this")) + b"\x81"
    yield (
        "a class with keywords",
        name("subprocess Popen") + b")}" + text("args") + text(f"touch '{canary}'") + b"s\x92",
    )
    yield (
        "a chain of getattr",
        call(
            "builtins getattr",
            call("builtins getattr", name("torch.nn.functional silu"), text("a")),
            text("b"),
        ),
    )
    functions = name("torch._C _VariableFunctionsClass")
    yield "an inner attribute of torch", call("builtins getattr", functions, text("__subclasses__"))
    yield (
        "a numpy object",
        call(
            "numpy.core.multiarray scalar", call("numpy dtype", text("O8"), FALSE, TRUE), b"C\x02N."
        ),
    )
    yield (
        "a numpy record",
        call(
            "numpy.core.multiarray scalar", call("numpy dtype", text("V8"), FALSE, TRUE), b"C\x02N."
        ),
    )
    yield "the extension registry", b"\x82\x01" + NOTHING + b"R"


def calls(parts: Parts, canary: Path) -> Iterator[Named]:
    """Calls at every place of a pickle that a model's file has."""
    for label, opcodes in _dangerous(canary):
        yield f"{label}, as an attribute", parts.with_attribute(opcodes)
    for label, opcodes in live_calls(canary):
        pickle = parts.pickle
        yield f"{label}, instead of the model", parts.with_pickle(b"\x80\x02" + opcodes + b".")
        yield (
            f"{label}, before the model",
            parts.with_pickle(pickle[:2] + opcodes + b"0" + pickle[2:]),
        )
        yield f"{label}, after the model", parts.with_pickle(pickle[:-1] + opcodes + b"0.")
        yield f"{label}, appended to the model", parts.with_pickle(pickle[:-1] + opcodes + b"a.")
        yield f"{label}, as a second state", parts.with_pickle(pickle[:-1] + opcodes + b"b.")
        yield (
            f"{label}, with the model as argument",
            parts.with_pickle(pickle[:-1] + b"\x85" + opcodes + b"R."),
        )
        yield f"{label}, as the modules", parts.with_attribute(opcodes, "_modules")
        yield (
            f"{label}, deep within",
            parts.with_attribute(b"](" + NONE + b"}" + text("k") + opcodes + b"se"),
        )
        yield f"{label}, as a dictionary's key", parts.with_attribute(b"}" + opcodes + NONE + b"s")


def code(parts: Parts, canary: Path) -> Iterator[Named]:
    """The same inside of the generated code of the first tensor product."""
    start, end, blob = _code_blob(parts.pickle)
    as_bytes = parts.pickle[1] > 2

    def planted(content: bytes) -> bytes:
        opcodes = (
            b"B" + struct.pack("<L", len(content)) + content
            if as_bytes
            else text(content.decode("latin1"))
        )
        return parts.with_pickle(parts.pickle[:start] + opcodes + parts.pickle[end:])

    inner = [(name, data) for name, data in members(blob) if "/code/" not in name]
    inside = Parts(archive(inner))
    for label, opcodes in live_calls(canary):
        yield f"{label}, in code", planted(inside.with_attribute(opcodes))
        yield f"{label}, instead of code", planted(inside.with_pickle(b"\x80\x02" + opcodes + b"."))
    for label, opcodes in bomb_values(inside.puts):
        yield f"{label}, in code", planted(inside.with_attribute(opcodes, "_w3j_1_1_1"))
    for position in range(7, len(blob), len(blob) // 40):
        if b"/code/" not in blob[position - 200 : position + 60] or position > len(blob) - 98:
            changed = blob[:position] + bytes([blob[position] ^ 4]) + blob[position + 1 :]
            if b"/code/" not in blob[:position]:
                yield f"code with another byte {position}", planted(changed)
    for length in (0, 4, len(blob) // 2, len(blob) - 1):
        yield f"code of {length} bytes", planted(blob[:length])
    yield (
        "code that is text",
        parts.with_pickle(parts.pickle[:start] + text("€") + parts.pickle[end:]),
    )


def _code_blob(pickle: bytes) -> tuple[int, int, bytes]:
    """Start, end and content of the first script in a pickle; protocol 2 has it as text."""
    found = list(pickletools.genops(pickle))
    key = next(
        n for n, (_, argument, _) in enumerate(found) if argument == "_compiled_main_left_right"
    )
    for (opcode, argument, start), (_, _, end) in zip(
        found[key + 1 :], found[key + 2 :], strict=False
    ):
        if opcode.name in ("BINUNICODE", "BINBYTES", "SHORT_BINBYTES"):
            content = argument if isinstance(argument, bytes) else argument.encode("latin1")
            if content.startswith(b"PK"):
                return start, end, content
    raise AssertionError("the file has no generated code")
