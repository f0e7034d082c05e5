"""The symmetric contraction of cuequivariance as mace-torch's: one basis per degree and order.

Its polynomial has the basis, and its weights enter the polynomial either directly or through a
`projection` (the basis of mace-torch's own contraction). mhff keeps the weights as they are and
puts the projection into the basis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt

import torch

from mhff.interop.mace import settings
from mhff.interop.mace.irreps import irreps, natural, words
from mhff.interop.mace.polynomials import Path, read_terms
from mhff.interop.mace.refusals import expect
from mhff.interop.mace.rewriting import own_tensor, part
from mhff.interop.torchfile.modules import ModuleRecord

MAX_NUMBERS = 50_000_000
"""Numbers in a dense basis."""
_MACE = "mace.modules.symmetric_contraction."
Group = tuple[int, int]
"""Degree and order of a basis."""


@dataclass(frozen=True)
class _Contraction:
    """What a module of cuequivariance holds."""

    path: str
    dim: int
    """Components of its input."""
    n_degrees: int
    """Degrees of its output, from 0."""
    highest: int
    """Highest order."""
    groups: dict[Group, list[Path]]
    """Products of the polynomial by degree and order."""
    projection: torch.Tensor
    """`[n_weights, n_basis]`."""
    weight: torch.Tensor
    """`[n_sets, n_weights, channels]`."""


def contraction_of_mace(module: ModuleRecord) -> ModuleRecord:
    """The same contraction with mace-torch's modules.

    Raises UnknownModelError unless the polynomial and the weights fit together.
    """
    inputs = irreps(module.attributes.get("irreps_in"))
    outputs = irreps(module.attributes.get("irreps_out"))
    for name, value in (("irreps_in", inputs), ("irreps_out", outputs)):
        is_natural = bool(value) and value == natural(value[0][0], len(value) - 1)
        expect(is_natural, f"{module.path}.{name} is {words(value)}, which mhff does not know")
    found = _read(module, len(inputs) ** 2, len(outputs))
    contractions = [_contraction(found, degree) for degree in range(len(outputs))]
    listed = _module(
        f"{module.path}.contractions",
        "torch.nn.modules.container.ModuleList",
        children={str(degree): child for degree, child in enumerate(contractions)},
    )
    made = _module(module.path, f"{_MACE}SymmetricContraction", children={"contractions": listed})
    return replace(made, attributes={"irreps_in": words(inputs), "irreps_out": words(outputs)})


def _module(
    path: str,
    class_path: str,
    tensors: dict[str, torch.Tensor] | None = None,
    children: dict[str, ModuleRecord] | None = None,
) -> ModuleRecord:
    return ModuleRecord(path, class_path, {}, {}, tensors or {}, children or {}, frozenset(), {})


def _read(module: ModuleRecord, dim: int, n_degrees: int) -> _Contraction:
    place = module.path
    highest = settings.count(
        module.attributes.get("contraction_degree"), f"{place}.contraction_degree"
    )
    groups: dict[Group, list[Path]] = {}
    for term in read_terms(part(module, "f")):
        order = len(term.operands) - 2
        expect(
            1 <= order <= highest
            and term.operands == (0, *[1] * order, 2)
            and term.subscripts == ",".join("u" * (order + 2)) + "+",
            f"{place} multiplies as {term.subscripts}, but mhff knows products of channels",
        )
        for path in term.paths:
            *_, component = path.segments
            fits = all(n < dim for n in path.segments[1:-1]) and component < n_degrees**2
            expect(fits and not path.coefficients.dim(), f"{place} has a product beyond its irreps")
            groups.setdefault((isqrt(component), order), []).append(path)
    weight = own_tensor(module, "weight")
    expect(weight.dim() == 3, f"{place}.weight has {weight.dim()} axes, but needs 3")
    columns = {path.segments[0] for paths in groups.values() for path in paths}
    has_projection = "projection" in module.tensors
    n_basis = max(columns, default=-1) + 1
    expect(n_basis <= weight.shape[1] * 100, f"{place} has {n_basis} functions in its basis")
    if has_projection:
        projection = own_tensor(module, "projection", weight.shape[1], n_basis)
    else:
        expect(
            weight.shape[1] == n_basis,
            f"{place}.weight has {weight.shape[1]} paths for {n_basis} functions",
        )
        projection = torch.eye(n_basis)
    return _Contraction(
        place, dim, n_degrees, highest, groups, projection.to(torch.float64), weight
    )


def _contraction(found: _Contraction, degree: int) -> ModuleRecord:
    """The contraction of one degree; order nu has the weights `highest - nu - 1`, or `_max`."""
    place = f"{found.path}.contractions.{degree}"
    own: dict[str, torch.Tensor] = {}
    others: dict[str, torch.Tensor] = {}
    for order in range(1, found.highest + 1):
        basis, weight = _basis(found, (degree, order))
        own[f"U_matrix_{order}"] = basis if degree else basis[0]
        if order == found.highest:
            own["weights_max"] = weight
        else:
            others[str(found.highest - order - 1)] = weight
    held = _module(f"{place}.weights", "torch.nn.modules.container.ParameterList", others)
    made = _module(place, f"{_MACE}Contraction", own, {"weights": held})
    return replace(made, attributes={"correlation": found.highest})


def _basis(found: _Contraction, group: Group) -> tuple[torch.Tensor, torch.Tensor]:
    """Dense basis `[2L + 1, dim, ..., paths]` of a degree and order, and its weights.

    A basis without functions has one path, zero, as in mace-torch.
    """
    degree, order = group
    paths = found.groups.get(group, [])
    columns = sorted({path.segments[0] for path in paths})
    elsewhere = {
        path.segments[0] for other, more in found.groups.items() if other != group for path in more
    }
    projection = found.projection
    rows = (projection[:, columns] != 0).any(1).nonzero().flatten()
    mixed = projection[rows][:, sorted(elsewhere)] if elsewhere else projection[:0, :0]
    expect(
        not elsewhere.intersection(columns) and not bool(mixed.any()),
        f"{found.path} has weights that belong to several degrees or orders",
    )
    size = (2 * degree + 1) * found.dim**order * max(len(rows), 1)
    expect(size <= MAX_NUMBERS, f"{found.path} has a basis of {size} numbers")
    shape = (2 * degree + 1, *[found.dim] * order)
    if not len(rows):
        empty = found.weight.new_zeros(found.weight.shape[0], 1, found.weight.shape[2])
        return torch.zeros(*shape, 1, dtype=torch.float64), empty
    dense = torch.zeros(*shape, len(columns), dtype=torch.float64)
    index = torch.tensor(
        [
            (path.segments[-1] - degree**2, *path.segments[1:-1], columns.index(path.segments[0]))
            for path in paths
        ]
    )
    values = torch.stack([path.coefficients for path in paths])
    dense.index_put_(tuple(index.T), values, accumulate=True)
    return dense @ projection[rows][:, columns].T, found.weight[:, rows]
