"""The C++ files of a library: constants of each shape, and the registration of all operators.

Kernels are templates in `include`; these files hold the constants that specialise them. `README.md`
in `mhff/ops` shows an excerpt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from mhff.ops.cpu.polynomial_code import polynomial_code
from mhff.ops.cpu.training_code import curvature_code, training_code
from mhff.ops.operators import COMMON, operators_of
from mhff.ops.registration import Operator
from mhff.ops.shapes import (
    ContractionShape,
    ConvolutionShape,
    GateShape,
    GeometryShape,
    LookUpShape,
    Shape,
)
from mhff.ops.spline import TAPS

REAL = {torch.float32: "float", torch.float64: "double"}
CPP_TYPES = {"Tensor": "Tensor", "int": "int64_t", "SymInt": "int64_t", "float": "double"}
"""Types of C++ by those of torch's schemas."""


@dataclass(frozen=True)
class CpuTarget:
    """Precision and vector registers that a library is compiled for."""

    dtype: torch.dtype
    vector_bytes: int
    """Size of the processor's registers: 64 with AVX-512, 32 with AVX2."""

    @property
    def register_lanes(self) -> int:
        """Numbers that a register holds."""
        return self.vector_bytes // self.dtype.itemsize

    def lanes(self, channels: int) -> int:
        """Numbers in a vector: those of a register, or fewer so that they divide the channels."""
        lanes = self.register_lanes
        while channels % lanes:
            lanes //= 2
        return lanes


def program_units(shapes: Mapping[str, Shape], target: CpuTarget, namespace: str) -> list[str]:
    """C++ files that make up a library; they compile side by side.

    The last convolution takes a compiler as long as everything else together.
    """
    convolutions = [name for name, shape in shapes.items() if isinstance(shape, ConvolutionShape)]
    last = convolutions[-1:]
    others = {name: shape for name, shape in shapes.items() if name not in last}
    return [
        *(program_code({name: shapes[name]}, target, namespace, common=False) for name in last),
        program_code(others, target, namespace),
    ]


def program_code(
    shapes: Mapping[str, Shape], target: CpuTarget, namespace: str, common: bool = True
) -> str:
    """C++ file that registers the operators of all shapes, `<namespace>::<name><suffix>`.

    With `common`, also those that every library has.
    """
    structs = [struct_code(name, shape, target) for name, shape in shapes.items()]
    functions = (_common_functions(target) if common else {}) | {
        name + operator.suffix: (operator, _method(name, shape, operator))
        for name, shape in shapes.items()
        for operator in operators_of(shape)
    }
    of_tensors = [name for name, (operator, _) in functions.items() if operator.arguments]
    without = [name for name, (operator, _) in functions.items() if not operator.arguments]
    definitions = [
        f'  m.def("{name}{operator.schema}");' for name, (operator, _) in functions.items()
    ]
    return "\n".join(
        [
            *(f'#include "{header}"' for header in includes(shapes)),
            "namespace mhff {",
            f"static_assert(taps == {TAPS});",
            *structs,
            "namespace boxed {",
            *(_boxed(name, *function) for name, function in functions.items()),
            "}  // namespace boxed",
            "}  // namespace mhff",
            f"STABLE_TORCH_LIBRARY_FRAGMENT({namespace}, m) {{",
            *definitions,
            "}",
            *_implementations(namespace, "CPU", of_tensors),
            # operators without tensors belong to no device
            *_implementations(namespace, "CompositeExplicitAutograd", without),
            "",
        ]
    )


def includes(shapes: Mapping[str, Shape]) -> list[str]:
    """Headers of a file for these shapes; those of training add nothing to other libraries."""
    headers = {_training_header(shape) for shape in shapes.values()}
    return ["operators.h", *sorted(headers - {""})]


def _training_header(shape: Shape) -> str:
    """Header of a shape's kernels if they have second derivatives."""
    if isinstance(shape, LookUpShape):
        return "training/look_up.h"
    if isinstance(shape, ConvolutionShape) and shape.trained:
        return "training/convolution.h"
    if isinstance(shape, ContractionShape) and shape.curved:
        return "training/curvature.h"
    if isinstance(shape, ContractionShape) and shape.trained:
        return "training/contraction.h"
    return ""


def _common_functions(target: CpuTarget) -> dict[str, tuple[Operator, str]]:
    """Operators of every library, and the C++ function of each."""
    real = REAL[target.dtype]
    multiply = f"MultiplyOperators<{real}, {target.register_lanes}>"
    functions = {
        "sort_edges": f"EdgeOperators<{real}>::sort",
        "sum_edges": f"EdgeOperators<{real}>::sum",
        "multiply": f"{multiply}::forward",
        "multiply_pack": f"{multiply}::pack",
        "multiply_pack_in_panels": f"{multiply}::pack_in_panels",
        "near_edges": f"ListOperators<{real}>::near_edges",
        "near_pairs": f"ListOperators<{real}>::near_pairs",
        "results_of_edges": f"ListOperators<{real}>::results",
        "edges_of_pairs": f"PairOperators<{real}>::edges",
        "results_of_pairs": f"PairOperators<{real}>::results",
        "count_pairs": f"PairOperators<{real}>::count",
        "release_memory": "MemoryOperators::release",
    }
    return {name: (operator, functions[name]) for name, operator in COMMON.items()}


def _method(name: str, shape: Shape, operator: Operator) -> str:
    """C++ function of a shape's operator."""
    if isinstance(shape, GeometryShape):
        family = "GeometryOperators"
    elif isinstance(shape, LookUpShape):
        family = "LookUpOperators"
    elif isinstance(shape, GateShape):
        family = "GateOperators"
    elif isinstance(shape, ContractionShape):
        family = "ContractionOperators"
        if shape.trained or shape.curved:
            family = ("Trained" if shape.trained else "Curved") + family
    elif shape.per_edge:
        family = "TrainedConvolutionOperators" if shape.trained else "WeightedOperators"
    else:
        family = "TabulatedOperators"
    return f"{family}<mhff::{name}>::{operator.suffix.removeprefix('_') or 'forward'}"


def _boxed(name: str, operator: Operator, function: str) -> str:
    """A function with the operator's arguments, which hands them on as one record."""
    types = {argument: CPP_TYPES[kind] for argument, kind in operator.types.items()}
    results = {0: "void", 1: "Tensor"}.get(
        operator.results, f"std::tuple<{', '.join(['Tensor'] * operator.results)}>"
    )
    arguments = ", ".join(f"{kind} {argument}" for argument, kind in types.items())
    members = " ".join(f"{kind} {argument};" for argument, kind in types.items())
    return (
        f"{results} {name}({arguments}) {{\n"
        f"  const struct {{ {members} }} in{{{', '.join(types)}}};\n"
        f"  return {function}(in);\n}}"
    )


def _implementations(namespace: str, key: str, names: Iterable[str]) -> list[str]:
    """Registration of functions for a dispatch key."""
    lines = [f'  m.impl("{name}", TORCH_BOX(&mhff::boxed::{name}));' for name in names]
    return [f"STABLE_TORCH_LIBRARY_IMPL({namespace}, {key}, m) {{", *lines, "}"]


def struct_code(name: str, shape: Shape, target: CpuTarget) -> str:
    """The struct of a shape; see the concepts in `include/shapes.h`."""
    if isinstance(shape, GeometryShape):
        members = _geometry(shape)
        lanes = target.register_lanes
    elif isinstance(shape, LookUpShape):
        members = []
        lanes = target.register_lanes
    else:
        members = _of_channels(shape)
        lanes = target.lanes(shape.channels)
    common = [
        f"using Real = {REAL[target.dtype]};",
        _integers(lanes=lanes, register_lanes=target.register_lanes),
    ]
    return "\n  ".join([f"struct {name} {{", *common, *members]) + "\n};"


def _of_channels(shape: ConvolutionShape | ContractionShape | GateShape) -> list[str]:
    if isinstance(shape, ConvolutionShape):
        return _convolution(shape)
    return _gate(shape) if isinstance(shape, GateShape) else _contraction(shape)


def _geometry(shape: GeometryShape) -> list[str]:
    return [
        _integers(l_max=shape.l_max, n_recursion=len(shape.recursion_terms)),
        _array("RecursionTerm", "recursion", [_braces(*term) for term in shape.recursion_terms]),
    ]


def _convolution(shape: ConvolutionShape) -> list[str]:
    """Each path has pairs (row, component), each pair its terms (harmonic, value)."""
    paths: list[str] = []
    pairs: list[str] = []
    terms: list[str] = []
    for p, path in enumerate(shape.paths):
        first = len(pairs)
        by_pair: dict[tuple[int, int], list[str]] = {}
        for m, a, b, value in shape.couplings(p):
            by_pair.setdefault((m, a), []).append(_braces(b, value))
        for (m, a), of_pair in by_pair.items():
            pairs.append(_braces(m, a, len(terms), len(of_pair)))
            terms += of_pair
        paths.append(_braces(*path, first, len(pairs) - first, shape.layout.slots[p]))
    return [
        _integers(
            channels=shape.channels,
            l_max=shape.l_max,
            input_lmax=shape.input_lmax,
            n_paths=len(paths),
            n_pairs=len(pairs),
        ),
        _array("Path", "path", paths),
        _array("Pair", "pair", pairs),
        _array("Term", "term", terms),
        _array("int", "paths_to", shape.layout.paths_to),
        _array("int", "rows_below", shape.layout.rows_below),
        *([_array("int", "mapped", shape.mapped)] if shape.mapped else []),
    ]


def _gate(shape: GateShape) -> list[str]:
    tensors = ", ".join(f"in.{name}" for name in shape.residuals)
    return [
        _integers(channels=shape.channels, l_max=shape.l_max, n_residuals=shape.n_residuals),
        "template <class In>",
        f"static std::array<Tensor, {shape.n_residuals}> residuals(const In& in) {{",
        f"  return {{{tensors}}};",
        "}",
    ]


def _contraction(shape: ContractionShape) -> list[str]:
    order = shape.coefficient_order
    write = polynomial_code
    if shape.trained:
        write = training_code
    elif shape.curved:
        write = curvature_code
    return [
        _integers(channels=shape.channels, dim=shape.dim, n_rows=shape.n_rows, n_terms=len(order)),
        _array("int", "order", order),
        *write(shape),
    ]


def _integers(**values: int) -> str:
    """Constants of the struct."""
    return f"static constexpr int {', '.join(f'{name} = {n}' for name, n in values.items())};"


def _array(kind: str, name: str, values: Sequence[object]) -> str:
    """A constant array; one element at least, because C++ has no empty ones."""
    return f"static constexpr {kind} {name}[] = {{{', '.join(map(str, values)) or '{}'}}};"


def _braces(*values: float) -> str:
    return f"{{{', '.join(map(repr, values))}}}"
