"""Tiny random models for tests; every architecture switch is on in one and off in another."""

from __future__ import annotations

from typing import Any

from structures import ELEMENTS

from mhff.heads import Head, Heads
from mhff.model.config import ModelConfig
from mhff.model.mace import MACE
from mhff.modelfile import Model
from mhff_bench.random_networks import randomise

HEADS = ("materials", "surfaces", "molecules")
SMALL: dict[str, Any] = {
    "elements": ELEMENTS,
    "heads": HEADS,
    "r_max": 4.0,
    "n_channels": 6,
    "n_edge_channels": 4,
    "n_radial": 5,
    "radial_mlp": (8, 7),
    "readout_width": 3,
}

CONFIGS: dict[str, dict[str, Any]] = {
    "mh1": {},
    "mp": {
        "interaction": "residual",
        "n_edge_channels": None,
        "agnostic_product": False,
        "distance_transform": "none",
        "apply_cutoff": True,
        "zbl": False,
        "avg_num_neighbors": 4.0,
    },
    "one_layer": {"n_layers": 1, "hidden_lmax": 0, "zbl": False},
    "three_layers": {
        "n_layers": 3,
        "hidden_lmax": 2,
        "l_max": 2,
        "correlation": 2,
        "agnostic_product": False,
    },
    "scalar_residual": {
        "interaction": "residual",
        "n_layers": 3,
        "hidden_lmax": 0,
        "avg_num_neighbors": 4.0,
    },
    "high_l_residual": {
        "interaction": "residual",
        "hidden_lmax": 2,
        "n_edge_channels": None,
        "distance_transform": "agnesi",
        "apply_cutoff": True,
        "avg_num_neighbors": 4.0,
    },
    "plain": {
        "interaction": "residual",
        "first_interaction": "plain",
        "apply_cutoff": True,
        "distance_transform": "soft",
        "radial_basis": "gaussian",
        "readout_activation": "tanh",
        "last_readout_only": True,
        "avg_num_neighbors": 4.0,
    },
    "density": {
        "interaction": "density_residual",
        "first_interaction": "density",
        "hidden_lmax": 2,
        "edge_lmax": 1,
        "correlation": (2, 3),
        "first_layer_edge_channels": False,
        "radial_basis": "chebyshev",
        "readout_activation": "abs",
    },
    "omol": {
        "n_layers": 3,
        "hidden_lmax": 2,
        "correlation": 2,
        "first_layer_edge_channels": False,
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
"""Changes to `SMALL`, by name."""


def random_network(seed: int = 0, **settings: Any) -> MACE:
    """Network in float32 without weights of zero or one, so that each of them matters."""
    network = MACE(ModelConfig(**(SMALL | settings)), seed=seed)
    randomise(network, seed + 1)
    return network


def random_model(name: str = "mh1", seed: int = 0, **settings: Any) -> Model:
    """Model of a configuration in `CONFIGS`, with changes."""
    network = random_network(seed, **(CONFIGS[name] | settings))
    return Model(network, Heads([Head(name=head) for head in network.config.heads]))


def tiny_model(seed: int = 0, **settings: Any) -> Model:
    """The smallest model that has three heads and forces: it is evaluated and compiled fast."""
    smallest = {"l_max": 1, "correlation": 1, "n_channels": 2, "n_edge_channels": 2}
    return random_model("one_layer", seed, **(smallest | settings))
