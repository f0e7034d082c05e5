"""Writes files that mace-torch can make and mhff does not import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mace import modules
from mace.modules.wrapper_ops import CuEquivarianceConfig
from random_models import CATEGORICAL, constructor_arguments

# isort: split
from e3nn import o3
from e3nn.util import jit

OPTIONS: dict[str, Any] = {
    "first_block": "Residual",
    "later_block": "Residual",
    "layers": 2,
    "hidden_lmax": 1,
    "max_ell": 2,
    "correlation": 2,
    "edge_irreps": "none",
    "product": "element-dependent",
    "coupling_basis": "full",
    "radial": "bessel",
    "transform": "None",
    "apply_cutoff": True,
    "cutoff_power": 5,
    "zbl": False,
    "readout": "NonLinear",
    "gate": "silu",
    "readout_width": 4,
    "last_readout_only": False,
    "heads": "1",
    "embedding": "none",
    "embedding_readout": False,
    "avg_num_neighbors": "14.3",
    "radial_mlp": [8],
    "n_radial": 4,
    "r_max": 4.0,
    "channels": 4,
    "elements": ["H", "O"],
}
LAYOUTS: dict[str, dict[str, Any]] = {
    "hidden_both_parities": {"hidden_irreps": o3.Irreps("4x0e + 4x0o + 4x1o + 4x1e")},
    "hidden_pseudovectors": {"hidden_irreps": o3.Irreps("4x0e + 4x1e")},
    "hidden_above_max_ell": {"hidden_irreps": o3.Irreps("4x0e + 4x1o + 4x2e"), "max_ell": 1},
    "unequal_edge_channels": {"edge_irreps": o3.Irreps("4x0e + 3x1o")},
    "use_so3": {"use_so3": True},
    "attention_block": {
        "interaction_cls": modules.interaction_classes["RealAgnosticAttResidualInteractionBlock"]
    },
    "embedding_of_temperature": {
        "embedding_specs": {"elec_temp": CATEGORICAL | {"num_classes": 4, "emb_dim": 3}}
    },
    "embedding_per_node": {
        "embedding_specs": {
            "total_charge": {"type": "continuous", "per": "node", "in_dim": 1, "emb_dim": 3}
        }
    },
}
"""Changes to the constructor's arguments that give models outside the supported family."""
DIPOLE_ARGUMENTS = (
    "r_max",
    "num_bessel",
    "num_polynomial_cutoff",
    "max_ell",
    "interaction_cls",
    "interaction_cls_first",
    "num_interactions",
    "num_elements",
    "hidden_irreps",
    "MLP_irreps",
    "avg_num_neighbors",
    "atomic_numbers",
    "correlation",
    "gate",
)


def model(**changes: Any) -> torch.nn.Module:
    """A ScaleShiftMACE of `OPTIONS`, with changes to the constructor's arguments."""
    arguments = constructor_arguments(OPTIONS, np.random.default_rng(0)) | changes
    return modules.ScaleShiftMACE(atomic_inter_scale=1.0, atomic_inter_shift=0.0, **arguments)


def dipole_model() -> torch.nn.Module:
    """A model of dipoles, which has no energy."""
    arguments = constructor_arguments(OPTIONS, np.random.default_rng(0))
    chosen = {name: arguments[name] for name in DIPOLE_ARGUMENTS} | {
        "MLP_irreps": o3.Irreps("4x0e + 4x1o")
    }
    return modules.AtomicDipolesMACE(atomic_energies=None, **chosen)


def energy_dipole_model() -> torch.nn.Module:
    """A model of energies and dipoles."""
    arguments = constructor_arguments(OPTIONS, np.random.default_rng(0))
    chosen = {name: arguments[name] for name in (*DIPOLE_ARGUMENTS, "atomic_energies")}
    return modules.EnergyDipolesMACE(**chosen | {"MLP_irreps": o3.Irreps("4x0e + 4x1o")})


def cuequivariance_model() -> torch.nn.Module:
    """A model that says it has the layout of cuequivariance (which can really be had on a GPU
    only).
    """
    made = model()
    for module in made.modules():
        if hasattr(module, "cueq_config"):
            module.cueq_config = CuEquivarianceConfig(
                enabled=True, layout="ir_mul", group="O3_e3nn", optimize_all=True
            )
    return made


def save_compiled(path: Path) -> None:
    """What the training command writes as `*_compiled.model`."""
    jit.compile(model(num_interactions=1)).save(str(path))


def save_checkpoint(path: Path) -> None:
    """What training writes to resume from."""
    torch.save({"model": model().state_dict(), "optimizer": {}, "lr_scheduler": {}}, path)


def save_state_dict(path: Path) -> None:
    """The weights alone."""
    torch.save(model().state_dict(), path)


MODELS: dict[str, Callable[[], torch.nn.Module]] = {
    "dipole_model": dipole_model,
    "energy_dipole_model": energy_dipole_model,
    "cuequivariance_layout": cuequivariance_model,
}
FILES: dict[str, Callable[[Path], None]] = {
    "torchscript": save_compiled,
    "training_checkpoint": save_checkpoint,
    "state_dict": save_state_dict,
}


def write_refused(folder: Path) -> None:
    """All of them, as `<name>.model`."""
    folder.mkdir()
    torch.set_default_dtype(torch.float64)
    for name, changes in LAYOUTS.items():
        torch.save(model(**changes), folder / f"{name}.model")
    for name, build in MODELS.items():
        torch.save(build(), folder / f"{name}.model")
    for name, save in FILES.items():
        save(folder / f"{name}.model")
