"""The shapes of the random models that peers and mhff are compared on, for
`tests/parity/peer/random_models.py`.
"""

from __future__ import annotations

from typing import Any

ELEMENTS = ("H", "C", "N", "O", "Mg")
HEADS = {"3 levels of theory": ["materials", "surfaces", "molecules"]}
"""Names of heads beside those that `random_models` knows."""
COMMON: dict[str, Any] = {
    "model": "ScaleShiftMACE",
    "layers": 2,
    "hidden_lmax": 1,
    "max_ell": 3,
    "correlation": 3,
    "coupling_basis": "full",
    "radial": "bessel",
    "radial_mlp": (64, 64, 64),
    "r_max": 6.0,
    "cutoff_power": 5,
    "readout": "NonLinear",
    "gate": "silu",
    "readout_width": 16,
    "last_readout_only": False,
    "embedding": "none",
    "embedding_readout": False,
    "elements": ELEMENTS,
}
MP: dict[str, Any] = COMMON | {
    "file": "float64",
    "first_block": "Residual",
    "later_block": "Residual",
    "channels": 128,
    "edge_channels": None,
    "edge_irreps": "none",
    "product": "element-dependent",
    "transform": "None",
    "apply_cutoff": True,
    "zbl": False,
    "n_radial": 8,
    "heads": "3 levels of theory",
    "avg_num_neighbors": "61.9 of numpy",
}
"""Of mace-mp-0, with three heads."""
MH1: dict[str, Any] = COMMON | {
    "file": "float32",
    "first_block": "ResidualNonLinear",
    "later_block": "ResidualNonLinear",
    "channels": 512,
    "edge_channels": 128,
    "edge_irreps": "in the first layer too",
    "product": "agnostic",
    "transform": "Agnesi",
    "apply_cutoff": False,
    "zbl": True,
    "n_radial": 10,
    "heads": "6 of mace-mh-1",
    "avg_num_neighbors": "1",
}
"""Of mace-mh-1, with five elements."""
SHAPES = {"mp": MP, "mh1": MH1}
