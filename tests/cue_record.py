"""The module records of mace-torch in cuequivariance's layout, from those in e3nn's.

With them the conversion can be tested without either library; the parity tests check that
mace-torch writes them.
"""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import torch

from mhff.interop.mace import cuequivariance as cue
from mhff.interop.mace.generated import CUE_MODULE, CUE_OBJECTS
from mhff.interop.mace.irreps import irreps
from mhff.interop.mace.linear_maps import weight_blocks
from mhff.interop.mace.rewriting import changed_everywhere, with_attributes
from mhff.interop.torchfile.modules import ARGUMENTS, ModuleRecord
from mhff.interop.torchfile.values import Inert
from mhff.model.coupling import clebsch_gordan, convolution_paths

_, OPERATION, PATH, POLYNOMIAL, PRODUCT = CUE_OBJECTS
SUBSCRIPTS = "cuequivariance.segmented_polynomials.subscripts.Subscripts"
LINEAR, CONVOLUTION, BY_ELEMENT, CONTRACTION = cue._OF_E3NN
Products = list[tuple[tuple[int, ...], torch.Tensor]]


def cue_record(root: ModuleRecord) -> ModuleRecord:
    """A model in cuequivariance's layout, with the basis of mace-torch's own contraction."""
    return changed_everywhere(root, _cue)


def _cue(module: ModuleRecord) -> ModuleRecord:
    convert = {
        LINEAR: _linear,
        CONVOLUTION: _convolution,
        BY_ELEMENT: _by_element,
        CONTRACTION: _contraction,
    }.get(module.class_path)
    if convert is not None:
        return convert(module)
    if {"conv_tp", "symmetric_contractions"} & module.children.keys():
        return with_attributes(module, cueq_config=Inert(cue.CONFIG, ()))
    return module


def term(operands: tuple[int, ...], subscripts: str, products: Products) -> Any:
    """One term of a polynomial, as the reader of torch files gives it."""
    factors, _, axes = subscripts.partition("+")
    paths = tuple(
        Inert(PATH, (), {"indices": indices, "coefficients": coefficients})
        for indices, coefficients in products
    )
    product = {
        "operands_and_subscripts": tuple((None, part) for part in factors.split(",")),
        "coefficient_subscripts": Inert(SUBSCRIPTS, (axes,)),
        "paths": paths,
    }
    return Inert(OPERATION, (), {"buffers": operands}), Inert(PRODUCT, (), product)


def polynomial(path: str, *terms: Any) -> ModuleRecord:
    """The module that evaluates a polynomial."""
    arguments = (Inert(POLYNOMIAL, (), {"operations": terms}), "naive")
    return ModuleRecord(
        f"{path}.f", CUE_MODULE, {ARGUMENTS: arguments}, {}, {}, {}, frozenset(), {}
    )


def _holding(
    module: ModuleRecord, class_path: str, terms: list[Any], **tensors: torch.Tensor
) -> ModuleRecord:
    children = {"f": polynomial(module.path, *terms)}
    return ModuleRecord(
        module.path, class_path, module.attributes, {}, tensors, children, frozenset(), {}
    )


def _sums(blocks: dict[tuple[int, int], torch.Tensor]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for (_, output), block in blocks.items():
        sums[output] = sums.get(output, 0) + block.shape[0] * block.shape[1]
    return sums


def _linear(module: ModuleRecord) -> ModuleRecord:
    weight = module.tensors["weight"]
    if not {"irreps_in", "irreps_out"} <= module.attributes.keys():
        return module  # the small record has no irreps here
    inputs, outputs = (
        irreps(module.attributes["irreps_in"]),
        irreps(module.attributes["irreps_out"]),
    )
    blocks = weight_blocks(weight, inputs, outputs, module.path)
    products = [
        ((number, a, b), torch.tensor(1 / sqrt(_sums(blocks)[b]), dtype=torch.float64))
        for number, (a, b) in enumerate(blocks)
    ]
    terms = [term((0, 1, 2), "uv,iu,iv+", products)]
    return _holding(module, cue.LINEAR, terms, weight=weight.unsqueeze(0))


def _by_element(module: ModuleRecord) -> ModuleRecord:
    weight = module.tensors["weight"]
    inputs = irreps(module.attributes["irreps_in1"])
    outputs = irreps(module.attributes["irreps_out"])
    n_elements = irreps(module.attributes["irreps_in2"])[0][0]
    blocks = weight_blocks(weight, inputs, outputs, module.path, n_elements)
    products: Products = []
    for number, (a, b) in enumerate(blocks):
        identity = torch.eye(2 * inputs[a][1] + 1, dtype=torch.float64).unsqueeze(1)
        products.append(((number, a, 0, b), identity / sqrt(_sums(blocks)[b])))
    terms = [term((0, 1, 2, 3), "uvw,iu,jv,kw+ijk", products)]
    return _holding(module, cue.BY_ELEMENT, terms, weight=weight.unsqueeze(0))


def _convolution(module: ModuleRecord) -> ModuleRecord:
    lmax = len(irreps(module.attributes["irreps_in1"])) - 1
    l_max = len(irreps(module.attributes["irreps_in2"])) - 1
    products: Products = [
        ((number, l1, l2, number), sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3))
        for number, (l1, l2, l3) in enumerate(convolution_paths(lmax, l_max))
    ]
    terms = [term((0, 1, 2, 3), "uv,iu,jv,kuv+ijk", products)]
    return _holding(module, cue.CONVOLUTION, terms)


def _contraction(module: ModuleRecord) -> ModuleRecord:
    """A basis function for each path of mace-torch's basis, in the reverse order.

    A conversion that ignored the projection would not survive this.
    """
    contractions = module.children["contractions"].children
    highest = contractions["0"].attributes["correlation"]
    weights: list[torch.Tensor] = []
    products: dict[int, Products] = {}
    for degree, child in contractions.items():
        for order in range(highest, 0, -1):
            basis = child.tensors[f"U_matrix_{order}"]
            basis = basis if degree != "0" else basis.unsqueeze(0)
            start = sum(weight.shape[1] for weight in weights)
            for *index, path in basis.nonzero().tolist():
                segments = (start + path, *index[1:], int(degree) ** 2 + index[0])
                products.setdefault(order, []).append((segments, basis[*index, path]))
            own = child if order == highest else child.children["weights"]
            name = "weights_max" if order == highest else str(highest - order - 1)
            weights.append(own.tensors[name])
    weight = torch.cat(weights, dim=1)
    n_paths = weight.shape[1]
    terms = [
        term(
            (0, *[1] * order, 2),
            ",".join("u" * (order + 2)) + "+",
            [((n_paths - 1 - first, *rest), value) for (first, *rest), value in found],
        )
        for order, found in sorted(products.items())
    ]
    projection = torch.eye(n_paths, dtype=torch.float64).flip(1)
    held = _holding(module, cue.CONTRACTION, terms, weight=weight, projection=projection)
    return with_attributes(replace(held), contraction_degree=highest)
