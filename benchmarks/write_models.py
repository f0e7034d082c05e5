"""Writes random models of the published shapes with mace-torch.

    .venv-peer/bin/python benchmarks/write_models.py FOLDER

It runs in the peer environment, without mhff. The random weights are scaled until features, forces
and energies are those of a trained model: the errors that programs must keep are absolute, and
float32 has few digits left for hundreds of eV per atom.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, chemical_symbols
from mace import data, modules, tools
from mace.tools.torch_geometric import Batch

# isort: split
from e3nn import o3  # after mace, without which e3nn 0.4.4 cannot load its constants

ELEMENTS = ("H", "C", "N", "O", "Mg")
TYPICAL_FEATURE = 1.0
"""Root mean square of features over atoms and channels after scaling."""
TYPICAL_FORCE = 3.0
"""Median force after scaling, without the pair repulsion, eV/A."""
MAX_ENERGY = 10.0
"""Largest interaction energy per atom after scaling, eV."""
PRODUCT_DAMPING = 0.3
"""Factor on product weights for every order beyond the first, which tames random polynomials."""
COMMON: dict[str, Any] = {
    "r_max": 6.0,
    "num_polynomial_cutoff": 5,
    "max_ell": 3,
    "num_interactions": 2,
    "num_elements": len(ELEMENTS),
    "MLP_irreps": o3.Irreps("16x0e"),
    "atomic_numbers": [atomic_numbers[symbol] for symbol in ELEMENTS],
    "correlation": 3,
    "gate": torch.nn.functional.silu,
    "use_reduced_cg": False,
    "radial_MLP": [64, 64, 64],
    "radial_type": "bessel",
}
MP = COMMON | {
    "heads": ["materials", "surfaces", "molecules"],
    "hidden_irreps": o3.Irreps("128x0e+128x1o"),
    "num_bessel": 8,
    "interaction_cls": modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
    "interaction_cls_first": modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
    "avg_num_neighbors": 61.964672446250916,
    "distance_transform": "None",
    "apply_cutoff": True,
    "pair_repulsion": False,
    "use_agnostic_product": False,
}
"""Shape of mace-mp-0, with three heads and five elements."""
NONLINEAR = modules.interaction_classes["RealAgnosticResidualNonLinearInteractionBlock"]
MH1 = COMMON | {
    "heads": [
        "matpes_r2scan",
        "mp_pbe_refit_add",
        "spice_wB97M",
        "oc20_usemppbe",
        "omol",
        "omat_pbe",
    ],
    "hidden_irreps": o3.Irreps("512x0e+512x1o"),
    "edge_irreps": o3.Irreps("128x0e+128x1o"),
    "use_edge_irreps_first": True,
    "num_bessel": 10,
    "interaction_cls": NONLINEAR,
    "interaction_cls_first": NONLINEAR,
    "avg_num_neighbors": 1,
    "distance_transform": "Agnesi",
    "apply_cutoff": False,
    "pair_repulsion": True,
    "use_agnostic_product": True,
}
"""Shape of mace-mh-1, with five elements."""
SMALL = MP | {
    "hidden_irreps": o3.Irreps("64x0e+64x1o"),
    "edge_irreps": o3.Irreps("32x0e+32x1o"),
    "use_edge_irreps_first": True,
    "r_max": 4.5,
    "avg_num_neighbors": 16.0,
}
"""Shape of the bundled model."""
NOT_IN_MACE = ("Po", "At", "Rn", "Fr", "Ra")
"""Elements up to Pu that mace-mh-1 does not know."""
EVERY = [number for number in range(1, 95) if chemical_symbols[number] not in NOT_IN_MACE]
MH1_EVERYTHING = MH1 | {"num_elements": len(EVERY), "atomic_numbers": EVERY}
"""Shape of mace-mh-1 with all its elements."""
EVERYTHING = MH1_EVERYTHING | {
    "hidden_irreps": o3.Irreps("16x0e+16x1o"),
    "edge_irreps": o3.Irreps("8x0e+8x1o"),
}
"""The same with few channels."""
SHAPES = {
    "mp": (MP, torch.float64),
    "mh1": (MH1, torch.float32),
    "small": (SMALL, torch.float64),
    "everything": (EVERYTHING, torch.float32),
    "mh1-everything": (MH1_EVERYTHING, torch.float32),
}
"""Models and the precision of their files."""


def random_model(options: dict[str, Any], dtype: torch.dtype) -> torch.nn.Module:
    """A model of a shape with random weights and isolated-atom energies."""
    torch.set_default_dtype(dtype)
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    n_heads = len(options["heads"])
    model = modules.ScaleShiftMACE(
        atomic_energies=generator.normal(-3.0, 4.0, (n_heads, options["num_elements"])),
        atomic_inter_scale=generator.uniform(0.6, 1.6, n_heads),
        atomic_inter_shift=generator.normal(0.0, 0.5, n_heads),
        **options,
    )
    model.requires_grad_(False)
    for product in model.products:
        damp(product)
    return model


def damp(product: torch.nn.Module) -> None:
    """Make high orders of a product smaller; `weights` is ordered by descending order."""
    for contraction in product.symmetric_contractions.contractions:
        for order, weights in enumerate([*reversed(contraction.weights), contraction.weights_max]):
            weights.mul_(PRODUCT_DAMPING**order)


def batch_of(model: torch.nn.Module, atoms: Atoms) -> dict[str, torch.Tensor]:
    """A structure once with each head."""
    table = tools.AtomicNumberTable([int(number) for number in model.atomic_numbers])
    graphs = [
        data.AtomicData.from_config(
            data.Configuration(
                atomic_numbers=atoms.numbers,
                positions=atoms.positions,
                cell=np.array(atoms.cell[:]),
                pbc=tuple(atoms.pbc),
                properties={},
                property_weights={},
                head=head,
            ),
            z_table=table,
            cutoff=float(model.r_max),
            heads=model.heads,
        )
        for head in model.heads
    ]
    return Batch.from_data_list(graphs).to_dict()


def calibrate(model: torch.nn.Module, atoms: Atoms) -> None:
    """Scale the linear maps around each product, then the readouts, to the typical values."""
    repulsion = model.__dict__.pop("pair_repulsion", None)
    for block, product in zip(model.interactions, model.products, strict=True):
        for linear, part in ((last_linear(block), block), (product.linear, product.linear)):
            size = output_of(part, model, atoms).square().mean().sqrt()
            linear.weight.mul_(TYPICAL_FEATURE / size)
    forces = torch.linalg.vector_norm(model(batch_of(model, atoms))["forces"].detach(), dim=1)
    scale_readouts(model, TYPICAL_FORCE / forces.median())
    energies = model(batch_of(model, atoms))["interaction_energy"].detach() / len(atoms)
    scale_readouts(model, MAX_ENERGY / energies.abs().max().clamp(min=MAX_ENERGY))
    if repulsion is not None:
        model.pair_repulsion = repulsion


def scale_readouts(model: torch.nn.Module, factor: torch.Tensor) -> None:
    """Multiply energies and forces by a factor."""
    for readout in model.readouts:
        for parameter in last_linear(readout).parameters():
            parameter.mul_(factor)


def last_linear(block: torch.nn.Module) -> torch.nn.Module:
    """The linear map of an interaction block or a readout in which its output is linear."""
    parts = dict(block.named_children())
    return parts.get("linear_2") or parts["linear"]


def output_of(part: torch.nn.Module, model: torch.nn.Module, atoms: Atoms) -> torch.Tensor:
    """Output of a part of the model for a structure, atoms first."""
    found: list[Any] = []
    hook = part.register_forward_hook(lambda _module, _inputs, output: found.append(output))
    model(batch_of(model, atoms))
    hook.remove()
    output = found[0]  # an interaction block gives its skip connection, too
    return (output[0] if isinstance(output, tuple) else output).detach()


def main() -> None:
    """Write the models that a folder lacks."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    atoms = bulk("MgO", "rocksalt", a=4.21, cubic=True)
    atoms.rattle(0.05, seed=1)
    for name, (options, dtype) in SHAPES.items():
        if (folder / f"{name}.model").exists():
            continue
        model = random_model(options, dtype)
        calibrate(model, atoms)
        torch.save(model.requires_grad_(True), folder / f"{name}.model")


if __name__ == "__main__":
    main()
