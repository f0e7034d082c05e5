"""Models in cuequivariance's layout, with its modules turned into those of e3nn and mace-torch.

mace-torch writes this layout when it converts a model for cuequivariance's kernels. The weights of
linear maps are the same numbers in the same order, which the coefficients in the file confirm. The
symmetric contraction has one array of weights and a polynomial, which `contractions` takes apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

import torch

from mhff.interop.mace.contractions import contraction_of_mace
from mhff.interop.mace.generated import CUE_MODULE
from mhff.interop.mace.irreps import Irreps, irreps, words
from mhff.interop.mace.linear_maps import Blocks, weight_blocks
from mhff.interop.mace.polynomials import Path, Term, read_terms
from mhff.interop.mace.refusals import expect, some
from mhff.interop.mace.rewriting import (
    Rewritten,
    changed_everywhere,
    own_tensor,
    part,
    with_attributes,
)
from mhff.interop.torchfile.modules import ModuleRecord
from mhff.interop.torchfile.values import Inert
from mhff.model.coupling import clebsch_gordan, convolution_paths

NOTE = "converted from cuequivariance's layout to e3nn's"
TOLERANCE = 1e-6
"""Tolerance on a coefficient of a polynomial against the exact one."""
MAX_DEGREE = 12
"""Largest degree of a convolution that is looked at; mhff's models stop before."""
_OPERATIONS = "cuequivariance_torch.operations."
LINEAR = f"{_OPERATIONS}linear.Linear"
BY_ELEMENT = f"{_OPERATIONS}tp_fully_connected.FullyConnectedTensorProduct"
CONVOLUTION = f"{_OPERATIONS}tp_channel_wise.ChannelWiseTensorProduct"
CONTRACTION = f"{_OPERATIONS}symmetric_contraction.SymmetricContraction"
_OF_E3NN = (
    "e3nn.o3._linear.Linear",
    "e3nn.o3._tensor_product._tensor_product.TensorProduct",
    "e3nn.o3._tensor_product._sub.FullyConnectedTensorProduct",
    "mace.modules.symmetric_contraction.SymmetricContraction",
)
CONFIG = "mace.modules.wrapper_ops.CuEquivarianceConfig"


def in_e3nn_layout(root: ModuleRecord) -> Rewritten:
    """The model with modules of e3nn and mace-torch only.

    Raises UnknownModelError for maps that are not those of mace-torch, and for models of which
    only a part has cuequivariance's layout.
    """
    if not any(module.class_path.startswith("cuequivariance_torch.") for module in root.walk()):
        return Rewritten(root)
    for module in root.walk():
        others = [child.path for child in module.children.values() if child.class_path in _OF_E3NN]
        expect(
            _config(module) is None or not others,
            f"{some(others)} lacks cuequivariance's layout, which {module.path} has",
        )
    return Rewritten(changed_everywhere(root, _converted), (NOTE,))


def _config(module: ModuleRecord) -> str | None:
    """Class of a module's settings for cuequivariance; None if it has none."""
    settings = module.attributes.get("cueq_config")
    return settings.path if isinstance(settings, Inert) else None


def _converted(module: ModuleRecord) -> ModuleRecord:
    """A module of cuequivariance, or one that holds some, in e3nn's layout."""
    if module.class_path == LINEAR:
        return _linear(module)
    if module.class_path == BY_ELEMENT:
        return _linear_by_element(module)
    if module.class_path == CONTRACTION:
        return contraction_of_mace(module)
    if _config(module) != CONFIG:
        return module
    module = with_attributes(module, cueq_config=None)
    if "conv_tp" not in module.children:
        return module
    convolution = _convolution(module, module.children["conv_tp"])
    attributes = {name: value for name, value in module.attributes.items() if name != "conv_fusion"}
    children = {**module.children, "conv_tp": convolution}
    return replace(module, attributes=attributes, children=children)


def _only_term(module: ModuleRecord, *subscripts: str) -> Term:
    """The only term of a module's polynomial, with one of these sets of subscripts."""
    terms = read_terms(module)
    expect(len(terms) == 1, f"{module.path} is a sum of {len(terms)} terms, but needs 1")
    n_operands = terms[0].subscripts.count(",") + 1
    expect(
        terms[0].subscripts in subscripts and terms[0].operands == tuple(range(n_operands)),
        f"{module.path} multiplies as {terms[0].subscripts}, but mhff knows {some(subscripts)}",
    )
    return terms[0]


def _check_paths(paths: tuple[Path, ...], expected: list[Path], place: str) -> None:
    """Raise UnknownModelError unless a polynomial has the expected products, in any order."""
    found = sorted(paths, key=lambda path: path.segments)
    expected = sorted(expected, key=lambda path: path.segments)
    same = [path.segments for path in found] == [path.segments for path in expected]
    expect(same, f"{place} connects its features in an order that mhff does not know")
    for ours, theirs in zip(expected, found, strict=True):
        shape = ours.coefficients.shape
        expect(theirs.coefficients.shape == shape, f"{place} has coefficients of another shape")
        error = float((ours.coefficients - theirs.coefficients).abs().max())
        expect(error < TOLERANCE, f"{place} has a coefficient that is off by {error:.1e}")


def _fan_ins(blocks: Blocks) -> dict[int, int]:
    """Number of features that each output sums over."""
    sums: dict[int, int] = {}
    for (_, output), block in blocks.items():
        sums[output] = sums.get(output, 0) + block.shape[0] * block.shape[1]
    return sums


def _linear(module: ModuleRecord) -> ModuleRecord:
    """An equivariant linear map."""
    inputs = irreps(module.attributes.get("irreps_in"))
    outputs = irreps(module.attributes.get("irreps_out"))
    weight = own_tensor(module, "weight").reshape(-1)
    blocks = weight_blocks(weight, inputs, outputs, module.path)
    fan_ins = _fan_ins(blocks)
    expected = [
        Path((number, *places), torch.tensor(fan_ins[places[1]] ** -0.5, dtype=torch.float64))
        for number, places in enumerate(blocks)
    ]
    term = _only_term(part(module, "f"), "uv,iu,iv+")
    _check_paths(term.paths, expected, module.path)
    attributes = {"irreps_in": words(inputs), "irreps_out": words(outputs)}
    return _record(module, _OF_E3NN[0], attributes, weight)


def _linear_by_element(module: ModuleRecord) -> ModuleRecord:
    """A linear map with weights for each element."""
    inputs = irreps(module.attributes.get("irreps_in1"))
    elements = irreps(module.attributes.get("irreps_in2"))
    outputs = irreps(module.attributes.get("irreps_out"))
    expect(
        len(elements) == 1 and elements[0][1:] == (0, 1), f"{module.path} does not mix by element"
    )
    weight = own_tensor(module, "weight").reshape(-1)
    blocks = weight_blocks(weight, inputs, outputs, module.path, elements[0][0])
    fan_ins = _fan_ins(blocks)
    expected = []
    for number, (a, b) in enumerate(blocks):
        identity = torch.eye(2 * inputs[a][1] + 1, dtype=torch.float64)
        expected.append(Path((number, a, 0, b), identity.unsqueeze(1) * fan_ins[b] ** -0.5))
    term = _only_term(part(module, "f"), "uvw,iu,jv,kw+ijk")
    _check_paths(term.paths, expected, module.path)
    attributes = {
        "irreps_in1": words(inputs),
        "irreps_in2": words(elements),
        "irreps_out": words(outputs),
    }
    return _record(module, _OF_E3NN[2], attributes, weight)


def _record(
    module: ModuleRecord, class_path: str, attributes: dict[str, str], weight: torch.Tensor
) -> ModuleRecord:
    return ModuleRecord(
        module.path, class_path, attributes, {"weight": weight}, {}, {}, frozenset(), {}
    )


def _convolution(block: ModuleRecord, module: ModuleRecord) -> ModuleRecord:
    """The convolution of an interaction block, with the coupling tensors of its polynomial.

    On a GPU, mace-torch has the polynomial itself instead of the convolution, with its segments cut
    into components (`flat`).
    """
    is_flat = module.class_path == CUE_MODULE
    known = is_flat or module.class_path == CONVOLUTION
    expect(known, f"{module.path} is a {module.class_path}, which mhff does not know")
    sent = irreps(part(block, "linear_up").attributes.get("irreps_out"))
    harmonics = irreps(block.attributes.get("edge_attrs_irreps"))
    expect(bool(sent) and bool(harmonics), f"{module.path} has no features to multiply")
    expect(len(sent) + len(harmonics) < MAX_DEGREE, f"{module.path} has {len(sent)} degrees")
    paths = list(convolution_paths(len(sent) - 1, len(harmonics) - 1))
    term = _only_term(
        module if is_flat else part(module, "f"), "u,u,,u+" if is_flat else "uv,iu,jv,kuv+ijk"
    )
    couplings = [
        sqrt(2 * degrees[2] + 1) * clebsch_gordan(*degrees).to(torch.float64) for degrees in paths
    ]
    components = _components(couplings, paths)
    expected = list(components) if is_flat else _whole(couplings, paths)
    _check_paths(term.paths, expected, module.path)
    return _tensor_product(module, sent, harmonics, paths)


def _whole(couplings: list[torch.Tensor], paths: list[tuple[int, int, int]]) -> list[Path]:
    """Products of whole irreps."""
    return [
        Path((number, l1, l2, number), coupling)
        for number, (coupling, (l1, l2, _)) in enumerate(zip(couplings, paths, strict=True))
    ]


def _components(couplings: list[torch.Tensor], paths: list[tuple[int, int, int]]) -> Iterator[Path]:
    """The same products component by component."""
    start = 0
    for number, (coupling, (l1, l2, l3)) in enumerate(zip(couplings, paths, strict=True)):
        for m1, m2, m3 in coupling.nonzero().tolist():
            segments = (number, l1**2 + m1, l2**2 + m2, start + m3)
            yield Path(segments, coupling[m1, m2, m3])
        start += 2 * l3 + 1


def _tensor_product(
    module: ModuleRecord, sent: Irreps, harmonics: Irreps, paths: list[tuple[int, int, int]]
) -> ModuleRecord:
    """e3nn's tensor product; the polynomial's coefficients are exact in every precision."""
    attributes = {
        "irreps_in1": words(sent),
        "irreps_in2": words(harmonics),
        "weight_numel": len(paths) * sent[0][0],
    }
    scripts = {
        "_w3j_{}_{}_{}".format(*degrees): clebsch_gordan(*degrees)
        for degrees in paths
        if min(degrees) > 0
    }
    return ModuleRecord(module.path, _OF_E3NN[1], attributes, {}, {}, {}, frozenset(), scripts)
