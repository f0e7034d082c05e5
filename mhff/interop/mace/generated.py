"""The contents of mace-torch's files: packages of their classes, and code that e3nn generates.

e3nn compiles every tensor product to TorchScript, which holds its coupling tensors as buffers.
"""

from __future__ import annotations

import re

import torch

from mhff.interop.mace.irreps import CUE_IRREP, CUE_IRREPS
from mhff.interop.mace.refusals import expect
from mhff.interop.torchfile.modules import LibraryFormat, ModuleRecord, Scripts

COUPLING = re.compile(r"_w3j_([0-9])_([0-9])_([0-9])")
"""Name of the coupling tensor of (l1, l2, l3)."""
CUE_MODULE = "cuequivariance_torch.primitives.segmented_polynomial.SegmentedPolynomial"
"""The module that evaluates a polynomial of cuequivariance."""
CUE_OBJECTS = (
    "cuequivariance.group_theory.irreps_array.irreps.MulIrrep",
    *(
        f"cuequivariance.segmented_polynomials.{name}"
        for name in (
            "operation.Operation",
            "path.Path",
            "segmented_polynomial.SegmentedPolynomial",
            "segmented_tensor_product.SegmentedTensorProduct",
        )
    ),
)
"""What such a polynomial consists of."""
MACE_FORMAT = LibraryFormat(
    packages=(
        "mace.modules.",
        "e3nn.o3.",
        "e3nn.nn.",
        "e3nn.math.",
        "mace.tools.cg.O3_e3nn",
        "cuequivariance.",
        "cuequivariance_torch.",
        "openequivariance.",  # known, so that the refusal can name it (`parts`)
    ),
    made_by_calls=frozenset({CUE_MODULE}),
    with_states=frozenset({CUE_IRREPS, CUE_IRREP, *CUE_OBJECTS}),
    scripts=Scripts("__codegen__", "_compiled_main_left_right", COUPLING),
)


def coupling_tensors(module: ModuleRecord) -> dict[tuple[int, int, int], torch.Tensor]:
    """Coupling tensors of a tensor product by (l1, l2, l3); empty if its code has none.

    Raises UnknownModelError for a tensor whose shape is not that of its degrees.
    """
    found = {}
    for name, tensor in module.script_tensors.items():
        match = COUPLING.fullmatch(name)
        if match is None:
            continue
        l1, l2, l3 = map(int, match.groups())
        shape = (2 * l1 + 1, 2 * l2 + 1, 2 * l3 + 1)
        expect(tuple(tensor.shape) == shape, f"{module.path} has a {name} of another shape")
        found[l1, l2, l3] = tensor
    return found
