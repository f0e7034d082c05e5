"""The names that the pickle of a MACE model may mention: a short list, and packages whose classes
are its modules.

Names are never looked up, so no name can do harm. But a file that names something else is not a
model that mhff reads, and whoever wrote it may have had something else in mind: it is refused as a
whole.
"""

from __future__ import annotations

from mhff.interop.torchfile.pickled import Global, Pickled, Record
from mhff.interop.torchfile.refusals import ForeignError, quoted

GETATTR = "builtins.getattr"
TORCH_FUNCTIONS = "torch._C._VariableFunctionsClass"
"""Functions such as torch.tanh are pickled as `getattr` of this class."""

_PACKAGES = (
    *(
        "mace.modules.",
        "e3nn.o3.",
        "e3nn.nn.",
        "e3nn.math.",
        "torch.nn.modules.",
        "torch.nn.functional.",
        "torch._C._nn.",
    ),
    *("cuequivariance_torch.", "openequivariance.", "__torch__."),
)
_BUILTINS = ("bytes", "frozenset", "getattr", "set", "slice")
_TORCH = (
    *(
        "_utils._rebuild_tensor_v2",
        "_utils._rebuild_parameter",
        "_utils._rebuild_parameter_with_state",
    ),
    *("Size", "device", "_C._VariableFunctionsClass", "jit._pickle.restore_type_tag"),
    *("fx.graph_module.reduce_graph_module", "fx._symbolic_trace.Tracer"),
    *(
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
    ),
    *(
        f"{kind}Storage"
        for kind in (
            "Double",
            "Float",
            "Half",
            "BFloat16",
            "Long",
            "Int",
            "Short",
            "Char",
            "Byte",
            "Bool",
        )
    ),
)
_NUMPY = ("core.multiarray.scalar", "_core.multiarray.scalar", "dtype")
_NAMES = frozenset(
    (
        *(f"builtins.{name}" for name in _BUILTINS),
        *(f"torch.{name}" for name in _TORCH),
        *(f"numpy.{name}" for name in _NUMPY),
        *("collections.OrderedDict", "_codecs.encode"),
    )
)


def check_names(pickled: Pickled) -> None:
    """Raise ForeignError for a pickle that names anything else, or looks for attributes of what it
    names.
    """
    for name in pickled.names:
        if name.path not in _NAMES and not name.path.startswith(_PACKAGES):
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
        f"names {quoted(path)}, which no model that mhff reads needs (nothing of it was run); if "
        "you trust its source, "
        "save the model alone with mace-torch"
    )
