"""The classes and settings of mace-torch, e3nn and torch that mhff understands."""

from __future__ import annotations

import re

from mhff.interop.mace.architecture import BLOCKS
from mhff.interop.mace.reading import Reading
from mhff.interop.mace.refusals import expect, some
from mhff.interop.mace.settings import flag
from mhff.interop.torchfile.modules import ModuleRecord

_MACE = {
    "models": "MACE ScaleShiftMACE",
    "blocks": """
        AtomicEnergiesBlock EquivariantProductBasisBlock LinearNodeEmbeddingBlock LinearReadoutBlock
        NonLinearBiasReadoutBlock NonLinearReadoutBlock RadialEmbeddingBlock ScaleShiftBlock
    """,
    "embeddings": "GenericJointEmbedding",
    "gate": "GatedEquivariantBlock",
    "irreps_tools": "reshape_irreps",
    "radial": """
        AgnesiTransform BesselBasis ChebychevBasis GaussianBasis PolynomialCutoff RadialMLP
        SoftTransform ZBLBasis
    """,
    "symmetric_contraction": "Contraction SymmetricContraction",
}
_E3NN = """
    o3._linear.Linear o3._spherical_harmonics.SphericalHarmonics
    o3._tensor_product._tensor_product.TensorProduct
    o3._tensor_product._sub.FullyConnectedTensorProduct
    o3._tensor_product._sub.ElementwiseTensorProduct
    nn._fc.FullyConnectedNet nn._fc._Layer nn._activation.Activation
    nn._gate.Gate nn._gate._Sortcut nn._extract.Extract math._normalize_activation.normalize2mom
"""
_TORCH = """
    container.ModuleList container.ModuleDict container.ParameterList container.Sequential
    linear.Linear normalization.LayerNorm activation.SiLU sparse.Embedding
"""
KNOWN_CLASSES = frozenset(
    [f"mace.modules.{module}.{name}" for module, names in _MACE.items() for name in names.split()]
    + [f"mace.modules.blocks.{name}" for name in BLOCKS]
    + [f"e3nn.{name}" for name in _E3NN.split()]
    + [f"torch.nn.modules.{name}" for name in _TORCH.split()]
)
_SETTINGS_OF_MODEL = """
    heads apply_cutoff edge_irreps use_reduced_cg use_agnostic_product use_so3 use_last_readout_only
    use_edge_irreps_first pair_repulsion lammps_mliap embedding_specs use_embedding_readout
"""
_SETTINGS_OF_BLOCKS = """
    node_attrs_irreps node_feats_irreps edge_attrs_irreps edge_feats_irreps target_irreps
    hidden_irreps avg_num_neighbors radial_MLP irreps_out irreps_nonlin out_dim num_heads use_sc
    coeff hs irreps dims muls num_features coupling_irreps correlation irreps_in internal_weights
    shared_weights base_dim total_dim specs
"""
_SETTINGS_WITHOUT_USE = "num_basis r_max"  # of Chebyshev polynomials
KNOWN_SETTINGS = frozenset(
    f"{_SETTINGS_OF_MODEL} {_SETTINGS_OF_BLOCKS} {_SETTINGS_WITHOUT_USE}".split()
)
"""Settings of mace-torch's own classes; any other one that is on may change the results."""
OTHER_LAYOUTS = ("cueq_config", "oeq_config")
_PRIVATE = re.compile(r"_.*|training|irreps_(scalars|gates|gated)")


def check_parts(reading: Reading) -> None:
    """Raise UnknownModelError for classes, settings or layouts whose meaning mhff does not know."""
    modules = list(reading.root.walk())
    unknown = sorted({module.class_path for module in modules} - KNOWN_CLASSES)
    expect(not unknown, f"it has parts that mhff does not know: {some(unknown)}")
    for module in modules:
        _check_settings(module)
    use_so3 = flag(reading.root.attributes.get("use_so3"), "use_so3")
    expect(not use_so3, "it has features without parity (use_so3)")


def _check_settings(module: ModuleRecord) -> None:
    for name in OTHER_LAYOUTS:
        expect(
            module.attributes.get(name) is None,
            f"{module.path} has the layout of another library ({name})",
        )
    if module.class_path.startswith("mace."):
        unknown = [name for name, value in module.attributes.items() if not _is_known(name, value)]
        expect(
            not unknown,
            f"{module.path or 'the model'} has settings that mhff does not know: {some(unknown)}",
        )


def _is_known(name: str, value: object) -> bool:
    is_off = value is None or value is False or (isinstance(value, list | dict) and not value)
    is_listed = name in KNOWN_SETTINGS or name in OTHER_LAYOUTS
    return is_off or is_listed or _PRIVATE.fullmatch(name) is not None


def check_all_used(reading: Reading) -> None:
    """Raise UnknownModelError if the file has tensors that mhff's model did not use."""
    unused = reading.unused()
    expect(not unused, f"it has tensors that mhff does not know: {some(unused)}")
