"""The parts of a program as C++: constants of their shape, which the kernels in `cpp` are
specialised for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from mhff.ops.cpu.contraction_code import contraction_code

SMALL = 1e-12
"""Coupling coefficients below are zeros of the exact tensors."""
REAL = {torch.float32: "float", torch.float64: "double"}


@dataclass(frozen=True)
class Target:
    """What a library is compiled for."""

    dtype: torch.dtype
    vector_bytes: int
    """Of the processor's registers: 64 with AVX-512, 32 with AVX2."""

    @property
    def register_lanes(self) -> int:
        """Numbers that a register holds."""
        return self.vector_bytes // self.dtype.itemsize

    def lanes(self, channels: int) -> int:
        """Numbers in a vector: as many as a register holds, or fewer if channels do not come in
        such packs.
        """
        lanes = self.register_lanes
        while channels % lanes:
            lanes //= 2
        return lanes

    def struct(self, name: str, channels: int, lines: Sequence[str]) -> str:
        """A shape's struct with the members that all shapes have."""
        common = [
            f"using Real = {REAL[self.dtype]};",
            f"static constexpr int lanes = {self.lanes(channels)}, register_lanes = "
            f"{self.register_lanes};",
        ]
        return "\n  ".join([f"struct {name} {{", *common, *lines]) + "\n};\n"


@dataclass(frozen=True)
class Operator:
    """One operator: schema without its name, and the C++ function."""

    suffix: str
    schema: str
    function: str


EDGES = "Tensor harmonics, Tensor edge_index, Tensor order, Tensor begin"
TABLE = (
    "Tensor r, Tensor species, Tensor table_of, Tensor tables, Tensor maps, Tensor transposed, "
    "float r_min, float r_max, int n_knots"
)


@dataclass(frozen=True, eq=False)
class Geometry:
    """Distances and harmonics of edge vectors."""

    recursions: Sequence[torch.Tensor]
    """`mhff.model.coupling.harmonic_recursion(l)` for l = 2..l_max."""
    operators = (
        Operator("", "(Tensor vectors) -> (Tensor, Tensor)", "GeometryOperators<{}>::forward"),
        Operator(
            "_adjoint",
            "(Tensor d_harmonics, Tensor d_r, Tensor vectors) -> Tensor",
            "GeometryOperators<{}>::adjoint",
        ),
    )

    @property
    def l_max(self) -> int:
        """Largest degree."""
        return 1 + len(self.recursions)

    def code(self, name: str, target: Target) -> str:
        """The struct of this shape."""
        products = []
        for degree, matrix in enumerate(self.recursions, start=2):
            for row, m in matrix.abs().gt(SMALL).nonzero().tolist():
                left, right = (degree - 1) ** 2 + row // 3, row % 3
                products.append(f"{{{degree**2 + m}, {left}, {right}, {float(matrix[row, m])!r}}}")
        return target.struct(
            name,
            target.register_lanes,
            [
                f"static constexpr int l_max = {self.l_max}, n_products = {len(products)};",
                _array("Product", "product", products),
            ],
        )


@dataclass(frozen=True, eq=False)
class Convolution:
    """Convolution of one layer, with weights from tables and the linear map that follows, or with
    weights of each edge.
    """

    paths: Sequence[tuple[int, int, int]]
    """`mhff.model.coupling.convolution_paths`."""
    coupling: torch.Tensor
    """`[B, rows, D_in]`, `mhff.model.coupling.convolution_coupling` or a file's."""
    channels: int
    mapped: Sequence[int] = ()
    """Width of each degree after the linear map; none where radial weights are given for each edge,
    instead of looked up in tables: such a convolution can be differentiated twice.
    """

    @property
    def per_edge(self) -> bool:
        """Whether radial weights are given for each edge."""
        return not self.mapped

    @property
    def operators(self) -> tuple[Operator, ...]:
        """Its operators."""
        name, radial = (
            ("WeightedOperators", "Tensor weights")
            if self.per_edge
            else ("TabulatedOperators", TABLE)
        )
        inputs, of_class = f"Tensor features, {EDGES}, {radial}", f"{name}<{{}}>::"
        made = [
            Operator("", f"({inputs}) -> Tensor", of_class + "forward"),
            Operator(
                "_adjoint",
                f"(Tensor gradient, {inputs}) -> (Tensor, Tensor, Tensor)",
                of_class + "adjoint",
            ),
        ]
        if not self.per_edge:
            made += [
                Operator(
                    "_adjoint_of_edges",
                    f"(Tensor gradient, {inputs}) -> (Tensor, Tensor)",
                    of_class + "adjoint_of_edges",
                ),
                Operator("_pack", "(Tensor tables) -> Tensor", of_class + "pack"),
            ]
        return tuple(made)

    @property
    def l_max(self) -> int:
        """Largest degree of the messages, which is that of the harmonics."""
        return max(l3 for _, _, l3 in self.paths)

    @property
    def paths_to(self) -> list[int]:
        """Number of paths to each degree."""
        return [sum(l3 == degree for _, _, l3 in self.paths) for degree in range(self.l_max + 1)]

    def code(self, name: str, target: Target) -> str:
        """The struct of this shape."""
        path_lines: list[str] = []
        pairs: list[str] = []
        terms: list[str] = []
        for p, (l1, l2, l3) in enumerate(self.paths):
            slot, first = sum(path[2] == l3 for path in self.paths[:p]), len(pairs)
            below = sum((2 * l + 1) * n for l, n in enumerate(self.paths_to[:l3]))
            for m in range(2 * l3 + 1):
                for a in range(2 * l1 + 1):
                    column = self.coupling[:, below + m * self.paths_to[l3] + slot, l1 * l1 + a]
                    harmonics = column.abs().gt(SMALL).nonzero().flatten().tolist()
                    if harmonics:
                        pairs.append(f"{{{m}, {a}, {len(terms)}, {len(harmonics)}}}")
                        terms += [f"{{{b}, {float(column[b])!r}}}" for b in harmonics]
            path_lines.append(f"{{{l1}, {l2}, {l3}, {first}, {len(pairs) - first}, {slot}}}")
        sizes = {
            "channels": self.channels,
            "l_max": self.l_max,
            "input_lmax": max(l1 for l1, _, _ in self.paths),
            "n_paths": len(path_lines),
            "n_pairs": len(pairs),
        }
        return target.struct(
            name,
            self.channels,
            [
                "static constexpr int "
                + ", ".join(f"{key} = {value}" for key, value in sizes.items())
                + ";",
                _array("Path", "path", path_lines),
                _array("Pair", "pair", pairs),
                _array("Term", "term", terms),
                _array("int", "mapped", [str(width) for width in self.mapped]),
            ],
        )


@dataclass(frozen=True, eq=False)
class Contraction:
    """Symmetric contraction of one layer."""

    monomials: torch.Tensor
    """`[Q, nu]`, padded with `dim`: `mhff.model.coupling.product_basis`."""
    rows: torch.Tensor
    """`[Q]`: the packed output component of each."""
    dim: int
    """Components of the features, (l_max + 1)^2."""
    channels: int
    operators = (
        Operator(
            "",
            "(Tensor features, Tensor coefficients, Tensor species) -> Tensor",
            "ContractionOperators<{}>::forward",
        ),
        Operator(
            "_adjoint",
            "(Tensor gradient, Tensor features, Tensor coefficients, Tensor species) -> Tensor",
            "ContractionOperators<{}>::adjoint",
        ),
        Operator("_pack", "(Tensor coefficients) -> Tensor", "ContractionOperators<{}>::pack"),
    )

    @property
    def n_rows(self) -> int:
        """Components of the products."""
        return int(self.rows.max()) + 1

    def code(self, name: str, target: Target) -> str:
        """The struct of this shape."""
        functions, order = contraction_code(self.monomials, self.rows, self.dim)
        sizes = (
            f"channels = {self.channels}, dim = {self.dim}, n_rows = {self.n_rows}, n_terms = "
            f"{len(order)}"
        )
        return target.struct(
            name,
            self.channels,
            [
                f"static constexpr int {sizes};",
                _array("int", "order", [str(q) for q in order]),
                functions,
            ],
        )


Part = Geometry | Convolution | Contraction


def program_code(parts: Mapping[str, Part], target: Target, namespace: str) -> str:
    """C++ file that registers the operators of all parts, `<namespace>::<name><suffix>`."""
    definitions, implementations = [], []
    for name, part in parts.items():
        for operator in part.operators:
            definitions.append(f'  m.def("{name}{operator.suffix}{operator.schema}");')
            function = operator.function.format(f"mhff::{name}")
            implementations.append(
                f'  m.impl("{name}{operator.suffix}", TORCH_BOX(&mhff::{function}));'
            )
    multiply = f"MultiplyOperators<{REAL[target.dtype]}, {target.register_lanes}>::"
    for schema, function in (
        ("sort_edges(Tensor atoms, SymInt n_atoms) -> (Tensor, Tensor)", "sort_edges_operator"),
        (
            "sum_edges(Tensor values, Tensor atoms, Tensor order, Tensor begin) -> Tensor",
            f"sum_edges_operator<{REAL[target.dtype]}>",
        ),
        ("multiply(Tensor x, Tensor packed, int n) -> Tensor", f"{multiply}forward"),
        ("multiply_pack(Tensor matrix) -> Tensor", f"{multiply}pack"),
    ):
        definitions.append(f'  m.def("{schema}");')
        implementations.append(
            f'  m.impl("{schema.partition("(")[0]}", TORCH_BOX((&mhff::{function})));'
        )
    definitions.append('  m.def("release_memory() -> ()");')
    return "\n".join(
        [
            '#include "operators.h"',
            "namespace mhff {",
            *(part.code(name, target) for name, part in parts.items()),
            "}  // namespace mhff",
            f"STABLE_TORCH_LIBRARY({namespace}, m) {{",
            *definitions,
            "}",
            f"STABLE_TORCH_LIBRARY_IMPL({namespace}, CPU, m) {{",
            *implementations,
            "}",
            # an operator without tensors belongs to no device
            f"STABLE_TORCH_LIBRARY_IMPL({namespace}, CompositeExplicitAutograd, m) {{",
            '  m.impl("release_memory", TORCH_BOX(&mhff::release_memory));',
            "}",
            "",
        ]
    )


def _array(kind: str, name: str, values: Sequence[str]) -> str:
    """A constant array; one element at least, because C++ has no empty ones."""
    return f"static constexpr {kind} {name}[] = {{{', '.join(values) if values else '{}'}}};"
