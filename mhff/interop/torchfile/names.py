"""The names that a pickle may mention: a short list, and the packages of the file's kind.

Names are never looked up, so no name can do harm. But a file that names anything else is not the
model that it should be, and its author may have meant harm: it is refused as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from mhff.interop.torchfile.pickled import Global, Pickled, Record
from mhff.interop.torchfile.refusals import ForeignError, quoted

GETATTR = "builtins.getattr"
TORCH_FUNCTIONS = "torch._C._VariableFunctionsClass"
"""Functions such as torch.tanh are pickled as `getattr` of this class."""

_PACKAGES = ("torch.nn.modules.", "torch.nn.functional.", "torch._C._nn.", "__torch__.")
_BUILTINS = ("bytes", "frozenset", "getattr", "set", "slice")
_TENSORS = (
    "_utils._rebuild_tensor_v2",
    "_utils._rebuild_parameter",
    "_utils._rebuild_parameter_with_state",
)
_DTYPES = [
    "float64",
    "float32",
    "float16",
    "bfloat16",
    "int64",
    "int32",
    "int16",
    "int8",
    "uint8",
    "bool",
]
_STORAGES = ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"]
_OTHERS_OF_TORCH = (
    "Size",
    "device",
    "_C._VariableFunctionsClass",
    "jit._pickle.restore_type_tag",
    "fx.graph_module.reduce_graph_module",
    "fx._symbolic_trace.Tracer",
)
_NUMPY = (
    *("core.multiarray.scalar", "_core.multiarray.scalar", "dtype", "ndarray"),
    *("core.multiarray._reconstruct", "_core.multiarray._reconstruct"),
)
_NAMES = frozenset(
    [
        *(f"builtins.{name}" for name in _BUILTINS),
        *(f"torch.{name}" for name in (*_TENSORS, *_DTYPES, *_OTHERS_OF_TORCH)),
        *(f"torch.{kind}Storage" for kind in _STORAGES),
        *(f"numpy.{name}" for name in _NUMPY),
        "collections.OrderedDict",
        "_codecs.encode",
    ]
)


def check_names(pickled: Pickled, packages: Iterable[str] = ()) -> None:
    """Raise ForeignError if a pickle names anything beyond the list and `packages`.

    An element of `packages` is the beginning of dotted paths, such as `e3nn.o3.`. Attributes may be
    taken of torch's functions only.
    """
    beginnings = (*_PACKAGES, *packages)
    for name in pickled.names:
        if name.path not in _NAMES and not name.path.startswith(beginnings):
            raise _stranger(name.path)
    for record in pickled.records:
        if record.path == GETATTR and not _is_torch_function(record):
            raise _stranger(GETATTR)


def _is_torch_function(record: Record) -> bool:
    match record.args:
        case (Global(path=path), str() as name):
            return path == TORCH_FUNCTIONS and name.isidentifier() and not name.startswith("_")
    return False


def _stranger(path: str) -> ForeignError:
    return ForeignError(
        f"names {quoted(path)}, which does not belong in such a file (nothing of it was run)",
        "if you trust its source, save the model alone with the program that made it",
    )
