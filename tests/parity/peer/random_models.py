"""Builds mace-torch models from a description of their options, with every weight random."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from ase.data import atomic_numbers
from mace import modules

# isort: split
from e3nn import (
    o3,
)  # after mace, without which e3nn 0.4.4 cannot load its constants with this torch

CATEGORICAL = {"type": "categorical", "per": "graph"}
CONTINUOUS = {"type": "continuous", "per": "graph", "in_dim": 1}
CHARGE_CLASSES = CATEGORICAL | {"num_classes": 9, "offset": 4, "emb_dim": 5}
SPIN_CLASSES = CATEGORICAL | {"num_classes": 6, "emb_dim": 3}
EMBEDDINGS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "charge": {"total_charge": CHARGE_CLASSES},
    "spin, charge": {"total_spin": SPIN_CLASSES, "total_charge": CHARGE_CLASSES},
    "continuous charge": {"total_charge": CONTINUOUS | {"emb_dim": 4}},
    "charge, continuous spin without bias": {
        "total_charge": CHARGE_CLASSES,
        "total_spin": CONTINUOUS | {"emb_dim": 4, "use_bias": False},
    },
}
HEADS = {
    "1 without name": None,
    "1": ["dft"],
    "2": ["mp_pbe", "ccsd"],
    "4": ["matpes-r2scan", "omol", "oc20", "Default"],
    "6 of mace-mh-1": [
        "matpes_r2scan",
        "mp_pbe_refit_add",
        "spice_wB97M",
        "oc20_usemppbe",
        "omol",
        "omat_pbe",
    ],
}
AVG_NUM_NEIGHBORS = {"1": 1, "14.3": 14.3, "61.9 of numpy": np.float64(61.964672446250916)}
TORCH_DTYPES = {"float64": torch.float64, "float32": torch.float32}


def irreps(channels: int, lmax: int) -> o3.Irreps:
    """Natural parity, the same number of channels for every degree."""
    return o3.Irreps([(channels, (l, (-1) ** l)) for l in range(lmax + 1)])


def edge_irreps(options: dict[str, Any], hidden_lmax: int) -> o3.Irreps | None:
    """None means: like the node features."""
    if options["edge_irreps"] == "none":
        return None
    lower = options["edge_irreps"] == "lower degree"
    return irreps(options["edge_channels"], hidden_lmax - 1 if lower else hidden_lmax)


def constructor_arguments(
    options: dict[str, Any], generator: np.random.Generator
) -> dict[str, Any]:
    """Keyword arguments of mace-torch's model classes, without scale and shift."""
    heads = HEADS[options["heads"]]
    numbers = [atomic_numbers[symbol] for symbol in options["elements"]]
    hidden_lmax = 1 if options["hidden_lmax"] is None else options["hidden_lmax"]
    first = modules.interaction_classes[f"RealAgnostic{options['first_block']}InteractionBlock"]
    later = modules.interaction_classes[
        f"RealAgnostic{options['later_block'] or ''}InteractionBlock"
    ]
    e0s = generator.normal(
        -3.0, 4.0, (len(numbers),) if heads is None else (len(heads), len(numbers))
    )
    correlation = options["correlation"]
    return {
        "r_max": options["r_max"],
        "num_bessel": options["n_radial"],
        "num_polynomial_cutoff": options["cutoff_power"],
        "max_ell": options["max_ell"],
        "interaction_cls": later,
        "interaction_cls_first": first,
        "num_interactions": options["layers"],
        "num_elements": len(numbers),
        "hidden_irreps": irreps(options["channels"], hidden_lmax),
        "MLP_irreps": o3.Irreps(f"{options['readout_width'] or 16}x0e"),
        "atomic_energies": e0s,
        "avg_num_neighbors": AVG_NUM_NEIGHBORS[options["avg_num_neighbors"]],
        "atomic_numbers": numbers,
        "correlation": correlation
        if isinstance(correlation, int)
        else correlation[: options["layers"]],
        "gate": modules.gate_dict[options["gate"] or "silu"],
        "pair_repulsion": options["zbl"],
        "apply_cutoff": options["apply_cutoff"],
        "use_reduced_cg": options["coupling_basis"] == "reduced",
        "use_agnostic_product": options["product"] == "agnostic",
        "use_last_readout_only": bool(options["last_readout_only"]),
        "use_embedding_readout": options["embedding_readout"],
        "distance_transform": options["transform"],
        "edge_irreps": edge_irreps(options, hidden_lmax),
        "use_edge_irreps_first": options["edge_irreps"] == "in the first layer too",
        "radial_MLP": list(options["radial_mlp"]),
        "radial_type": options["radial"],
        "heads": heads,
        "embedding_specs": EMBEDDINGS[options["embedding"]],
        "keep_last_layer_irreps": options.get("keep_last_layer_irreps", False),
        "readout_cls": modules.readout_classes[f"{options['readout'] or 'NonLinear'}ReadoutBlock"],
    }


def build(options: dict[str, Any], seed: int) -> torch.nn.Module:
    """A model in the precision that the file is built in; torch's default dtype is left at that
    precision.
    """
    torch.set_default_dtype(TORCH_DTYPES[options["file"].split()[0]])
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    arguments = constructor_arguments(options, generator)
    if options["model"] == "MACE":
        model = modules.MACE(**arguments)
    else:
        shape = () if arguments["heads"] is None else len(arguments["heads"])
        scale, shift = generator.uniform(0.6, 1.6, shape), generator.normal(0.0, 0.5, shape)
        model = modules.ScaleShiftMACE(
            atomic_inter_scale=scale, atomic_inter_shift=shift, **arguments
        )
    randomise(model)
    return model


def randomise(model: torch.nn.Module) -> None:
    """Give a random value to whatever is 0, 1 or too small to show in a fresh model."""
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            noise = torch.randn_like(parameter)
            with torch.no_grad():
                if isinstance(module, torch.nn.LayerNorm):
                    parameter.add_(0.3 * noise)
                elif name == "alpha":
                    parameter.copy_(2.5 + noise.tanh())
                elif name == "beta":
                    parameter.copy_(0.5 + 0.3 * noise.tanh())
                elif name == "bias":
                    parameter.copy_(0.4 * noise)
                elif isinstance(module, torch.nn.Linear):
                    parameter.copy_(noise / parameter.shape[1] ** 0.5)
    for block in model.interactions:
        for embedding in ("source_embedding", "target_embedding"):
            if hasattr(block, embedding):
                torch.nn.init.normal_(getattr(block, embedding).weight)
