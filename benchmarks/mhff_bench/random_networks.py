"""Small networks with random weights, for checks that need no trained model."""

from __future__ import annotations

from typing import Any

import torch

from mhff.heads import Head, Heads
from mhff.model.config import ModelConfig
from mhff.model.mace import MACE
from mhff.modelfile import Model

SMALL: dict[str, Any] = {
    "elements": ("H", "C", "N", "O", "Mg"),
    "heads": ("materials", "surfaces", "molecules"),
    "r_max": 4.0,
    "n_channels": 8,
    "n_edge_channels": 8,
    "n_radial": 5,
    "radial_mlp": (8, 7),
    "readout_width": 3,
}
"""Settings that all small networks share."""
RESIDUAL: dict[str, Any] = {
    "interaction": "residual",
    "apply_cutoff": True,
    "avg_num_neighbors": 4.0,
    "distance_transform": "none",
}
"""Changes to the settings for the blocks of MACE-MP."""
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "mh1": {},
    "mp": RESIDUAL | {"agnostic_product": False, "zbl": False},
    "density": {
        "interaction": "density_residual",
        "first_interaction": "density",
        "hidden_lmax": 2,
        "edge_lmax": 1,
        "correlation": (2, 3),
        "radial_basis": "chebyshev",
    },
    "omol": {
        "n_layers": 3,
        "hidden_lmax": 2,
        "correlation": 2,
        "distance_transform": "none",
        "zbl": False,
        "readout": "nonlinear_bias",
        "state_embeddings": (
            {"quantity": "total_spin", "kind": "categorical", "width": 3, "n_classes": 5},
            {"quantity": "total_charge", "kind": "continuous", "width": 4},
        ),
        "state_readout": True,
    },
}
"""Changes to the settings for each published architecture."""


def random_network(seed: int = 0, **settings: Any) -> MACE:
    """Small network in float32 with these changes to `SMALL`."""
    network = MACE(ModelConfig(**(SMALL | settings)), seed=seed)
    randomise(network, seed + 1)
    return network


def random_model(config: ModelConfig) -> Model:
    """Model of any size with freshly initialised weights."""
    return Model(MACE(config, seed=0), Heads([Head(name=name) for name in config.heads]))


def randomise(network: MACE, seed: int) -> None:
    """Change weights that start at zero or one, so that each of them matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("alpha"):
                parameter.fill_(2.0)
            elif name.endswith("beta"):
                parameter.fill_(0.5)
            elif "norms" in name or name.endswith(("source.weight", "target.weight")):
                parameter.add_(0.5 * torch.randn(parameter.shape, generator=generator))
    references = network.reference_energies
    references.E0s = 100 * torch.randn(
        references.E0s.shape, generator=generator, dtype=torch.float64
    )
    references.scale = torch.linspace(0.8, 1.3, len(references.scale), dtype=torch.float64)
    references.shift = torch.linspace(-0.4, 0.3, len(references.shift), dtype=torch.float64)
