"""The option space of mace-torch's energy models, and the cases that cover it.

An option set to None has no effect in that case (a model of one layer has no later layers, for
instance).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ase import Atoms
from covering import Row, covering_array
from geometries import geometries

BLOCKS = ("", "Residual", "Density", "DensityResidual", "ResidualNonLinear")
"""Interaction blocks, as the classes are named between `RealAgnostic` and `InteractionBlock`."""

OPTIONS: dict[str, tuple[Any, ...]] = {
    "model": ("ScaleShiftMACE", "MACE"),
    "file": ("float64", "float32", "float32 saved as float64"),
    "first_block": BLOCKS,
    "later_block": (*BLOCKS, None),
    "layers": (2, 1, 3),
    "hidden_lmax": (0, 1, 2, 3, None),
    "max_ell": (1, 2, 3, 4),
    "correlation": (1, 2, 3, 4, (3, 2, 1)),
    "edge_irreps": ("none", "after the first layer", "in the first layer too", "lower degree"),
    "product": ("agnostic", "element-dependent"),
    "coupling_basis": ("full", "reduced"),
    "radial": ("bessel", "gaussian", "chebyshev"),
    "transform": ("None", "Agnesi", "Soft"),
    "apply_cutoff": (True, False),
    "cutoff_power": (3, 5, 6, 8),
    "zbl": (True, False),
    "readout": ("NonLinear", "NonLinearBias", None),
    "gate": ("silu", "tanh", "abs", "None", None),
    "readout_width": (1, 4, 16, None),
    "last_readout_only": (False, True, None),
    "heads": ("1 without name", "1", "2", "4"),
    "embedding": (
        "none",
        "charge",
        "spin, charge",
        "continuous charge",
        "charge, continuous spin without bias",
    ),
    "embedding_readout": (False, True),
    "avg_num_neighbors": ("1", "14.3", "61.9 of numpy"),
    "radial_mlp": ((8,), (9, 8), (10, 9, 8), (64, 64, 64)),
    "n_radial": (4, 6, 8),
    "r_max": (4.0, 4.3, 5.2),
    "channels": (4, 6, 8),
    "edge_channels": (3, 5, None),
    "elements": (
        ("H", "C", "N", "O", "Mg"),
        ("H", "O", "Fe", "Au", "U"),
        ("Li", "Cl", "Cs"),
        ("Cu",),
    ),
}
LATER = ("later_block", "hidden_lmax", "readout", "gate", "readout_width", "last_readout_only")
"""Options that a model of one layer does not have: its one readout is linear, its output scalar."""


def allowed(row: Row) -> bool:
    """Whether mace-torch can build this, at a bearable size, and every option that is not None
    matters.
    """
    return all(rule(row) for rule in (_one_layer, _edges, _embedding, _degrees, _chebyshev))


def _has(row: Row, *options: str) -> bool:
    return all(option in row for option in options)


def _one_layer(row: Row) -> bool:
    if "layers" not in row:
        later = {row[option] is None for option in LATER if option in row}
        return len(later) < 2
    return all((row[option] is None) == (row["layers"] == 1) for option in LATER if option in row)


def _edges(row: Row) -> bool:
    if _has(row, "edge_irreps", "edge_channels") and (row["edge_irreps"] == "none") != (
        row["edge_channels"] is None
    ):
        return False
    edge = row.get("edge_irreps", "none")
    one_layer = row.get("layers") == 1 or any(row.get(option, 0) is None for option in LATER)
    if one_layer and edge in ("after the first layer", "lower degree"):
        return False
    return not (edge == "lower degree" and row.get("hidden_lmax") == 0)


def _embedding(row: Row) -> bool:
    if not row.get("embedding_readout"):
        return True
    # mace-torch's MACE class fails here with several heads
    several = row.get("heads") in ("2", "4") and row.get("model") == "MACE"
    return row.get("embedding") != "none" and not several


def _degrees(row: Row) -> bool:
    """The dense coupling tensors, (max_ell + 1)^(2 correlation) entries for each component and
    path, must stay small.
    """
    if "max_ell" not in row:
        return True
    max_ell, hidden_lmax = row["max_ell"], row.get("hidden_lmax") or 0
    correlation = row.get("correlation", 1)
    highest = correlation if isinstance(correlation, int) else max(correlation)
    entries = (max_ell + 1) ** (2 * highest) * (hidden_lmax + 1) ** 2
    return hidden_lmax <= max_ell and entries <= (
        30_000 if row.get("coupling_basis") == "full" else 70_000
    )


def _chebyshev(row: Row) -> bool:
    """T_n(r) grows as (2r)^n: without a transform that keeps r small, high ones lose all digits."""
    return not (
        row.get("radial") == "chebyshev"
        and row.get("transform", "Agnesi") != "Agnesi"
        and row.get("n_radial", 4) > 4
    )


@dataclass(frozen=True)
class Case:
    """A model to build, with a seed for its weights and its structures."""

    seed: int
    options: Row

    def structures(self) -> dict[str, Atoms]:
        """What it is evaluated on, with a charge and a spin in `info`."""
        return geometries(self.options["elements"], self.options["r_max"], self.seed)


MH1: Row = {
    "model": "ScaleShiftMACE",
    "file": "float32",
    "first_block": "ResidualNonLinear",
    "later_block": "ResidualNonLinear",
    "layers": 2,
    "hidden_lmax": 1,
    "max_ell": 3,
    "correlation": 3,
    "edge_irreps": "in the first layer too",
    "product": "agnostic",
    "coupling_basis": "full",
    "radial": "bessel",
    "transform": "Agnesi",
    "apply_cutoff": False,
    "cutoff_power": 5,
    "zbl": True,
    "readout": "NonLinear",
    "gate": "silu",
    "readout_width": 16,
    "last_readout_only": False,
    "heads": "4",
    "embedding": "none",
    "embedding_readout": False,
    "avg_num_neighbors": "1",
    "radial_mlp": (10, 9, 8),
    "n_radial": 8,
    "r_max": 4.3,
    "channels": 8,
    "edge_channels": 5,
    "elements": ("H", "C", "N", "O", "Mg"),
}
"""The architecture of mace-mh-1, small."""
CLASSIC: Row = MH1 | {
    "edge_irreps": "none",
    "edge_channels": None,
    "product": "element-dependent",
    "apply_cutoff": True,
    "heads": "1 without name",
    "avg_num_neighbors": "61.9 of numpy",
}
PUBLISHED: dict[str, Row] = {
    "mh1": MH1,
    "omol": MH1
    | {
        "file": "float64",
        "layers": 3,
        "hidden_lmax": 2,
        "correlation": 2,
        "edge_irreps": "after the first layer",
        "transform": "None",
        "zbl": False,
        "readout": "NonLinearBias",
        "heads": "1",
        "embedding": "spin, charge",
    },
    "mp0": CLASSIC
    | {"first_block": "Residual", "later_block": "Residual", "transform": "None", "zbl": False},
    "omat": CLASSIC
    | {"file": "float64", "first_block": "Density", "later_block": "DensityResidual"},
}
"""The architectures of mace-mh-1, mace-omol, mace-mp-0a and mace-omat-0, small."""

COVERING = covering_array(OPTIONS, allowed)
CASES: dict[str, Case] = {
    name: Case(seed, options)
    for seed, (name, options) in enumerate(
        (PUBLISHED | {f"p{index:02}": row for index, row in enumerate(COVERING)}).items()
    )
}
"""All models of the harness by name."""
