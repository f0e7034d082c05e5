"""Constants that the weights depend on: a model keeps them, and its file stores them.

A model made here computes them. An imported one has those of its file, which may be rounded or in
another basis. All are float64, or int64 where they are counts or indices.

| name                  | shape           | content                                                |
|-----------------------|-----------------|--------------------------------------------------------|
| covalent_radii        | [n_elements]    | A                                                      |
| harmonics.<l>         | [3(2l-1), 2l+1] | recursion of the harmonics, l = 2..l_max               |
| radial.functions      | [n_radial]      | frequencies of Bessel functions (1/A),                 |
|                       |                 | centres of Gaussians (A), or degrees of Chebyshev's    |
| radial.factor         | []              | prefactor of Bessel functions,                         |
|                       |                 | exponent of Gaussians (1/A^2), or 1                    |
| radial.transform      | [3], [1] or [0] | a, q, p of Agnesi; alpha of Soft; nothing              |
| zbl.coefficients      | [4]             | coefficients of the screening function                 |
| zbl.length, zbl.power | []              | screening length (A) and exponent of the charges       |
| activation.<name>     | []              | factors of silu, sigmoid and the readout's activation  |
| convolution.<layer>   | [B, rows, D_in] | `coupling.convolution_coupling`                        |
| product.<layer>.<...> |                 | `coupling.product_basis`                               |
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from mhff.errors import listing
from mhff.model.config import ModelConfig
from mhff.model.coupling import (
    convolution_coupling,
    harmonic_recursion,
    message_layout,
    product_basis,
)

MOMENTS = {
    "silu": 1.6791767923989418,
    "sigmoid": 1.8467055342154763,
    "tanh": 1.5937334472592695,
    "abs": 1.001110600838467,
    "none": 1.0,
}
"""1 / sqrt(<f(z)^2>) for normal z: e3nn's Monte-Carlo values, which published models use."""
AGNESI = (1.0805, 0.9183, 4.5791)
"""a, q, p of W. C. Witt et al., J. Chem. Phys. 159, 164101 (2023)."""
SOFT_ALPHA = 4.0
# J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter (1985)
ZBL_COEFFICIENTS = (0.1818, 0.5099, 0.2802, 0.02817)
ZBL_LENGTH = 0.4543 * 0.529
ZBL_POWER = 0.300


def model_constants(config: ModelConfig) -> dict[str, torch.Tensor]:
    """All constants of an architecture, by name, as `mhff.model.mace.MACE` takes them."""
    from ase.data import covalent_radii

    constants = {
        "covalent_radii": _tensor([covalent_radii[number] for number in config.atomic_numbers])
    }
    constants |= _radial_constants(config)
    for name, function in (
        ("silu", "silu"),
        ("sigmoid", "sigmoid"),
        ("readout", config.readout_activation),
    ):
        constants[f"activation.{name}"] = _tensor(MOMENTS[function])
    if config.zbl:
        constants["zbl.coefficients"] = _tensor(ZBL_COEFFICIENTS)
        constants["zbl.length"] = _tensor(ZBL_LENGTH)
        constants["zbl.power"] = _tensor(ZBL_POWER)
    for degree in range(2, config.l_max + 1):
        constants[f"harmonics.{degree}"] = harmonic_recursion(degree)
    for layer in range(config.n_layers):
        constants[f"convolution.{layer}"] = convolution_coupling(
            config.message_lmax(layer), config.l_max
        )
        basis = product_basis(config.l_max, config.output_lmax(layer), config.correlations[layer])
        constants |= {f"product.{layer}.{name}": tensor for name, tensor in basis.items()}
    return constants


def _radial_constants(config: ModelConfig) -> dict[str, torch.Tensor]:
    n = config.n_radial
    r_max = config.r_max
    counted = torch.arange(1, n + 1, dtype=torch.float64)
    functions, factor = {
        "bessel": (counted * math.pi / r_max, (2 / r_max) ** 0.5),
        "gaussian": (
            torch.linspace(0, r_max, n, dtype=torch.float64),
            -0.5 * (max(n - 1, 1) / r_max) ** 2,
        ),
        "chebyshev": (counted, 1.0),
    }[config.radial_basis]
    transform = {"agnesi": AGNESI, "soft": (SOFT_ALPHA,), "none": ()}[config.distance_transform]
    return {
        "radial.functions": functions,
        "radial.factor": _tensor(factor),
        "radial.transform": _tensor(transform),
    }


def _tensor(values: object) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64, device="cpu")


def check_constants(config: ModelConfig, constants: Mapping[str, torch.Tensor]) -> None:
    """Raise ValueError unless a file's constants have the names, types and shapes they need."""
    expected = _shapes(config, constants)
    if set(constants) != set(expected):
        raise ValueError(
            "its constants are not those of its architecture: "
            f"{listing(sorted(set(constants) ^ set(expected)))}"
        )
    for name, shape in expected.items():
        dtype = torch.int64 if name.endswith((".monomials", ".rows", ".paths")) else torch.float64
        if constants[name].shape != shape or constants[name].dtype != dtype:
            raise ValueError(
                f"expected {dtype} {list(shape)} for {name}, got {constants[name].dtype} "
                f"{list(constants[name].shape)}"
            )
    for layer in range(config.n_layers):
        limits = {
            "monomials": (config.l_max + 1) ** 2,
            "rows": (config.output_lmax(layer) + 1) ** 2 - 1,
        }
        for name, largest in limits.items():
            values = constants[f"product.{layer}.{name}"]
            if bool((values < 0).any() or (values > largest).any()):
                raise ValueError(f"expected indices from 0 to {largest} in product.{layer}.{name}")


def _shapes(
    config: ModelConfig, constants: Mapping[str, torch.Tensor]
) -> dict[str, tuple[int, ...]]:
    """Shape of every constant of an architecture; the numbers of monomials and paths are free."""
    dim = (config.l_max + 1) ** 2
    shapes: dict[str, tuple[int, ...]] = {
        "covalent_radii": (len(config.elements),),
        "radial.functions": (config.n_radial,),
        "radial.factor": (),
        "radial.transform": ({"agnesi": 3, "soft": 1, "none": 0}[config.distance_transform],),
    }
    shapes |= dict.fromkeys(("activation.silu", "activation.sigmoid", "activation.readout"), ())
    if config.zbl:
        shapes |= {"zbl.coefficients": (4,), "zbl.length": (), "zbl.power": ()}
    for degree in range(2, config.l_max + 1):
        shapes[f"harmonics.{degree}"] = ((2 * degree - 1) * 3, 2 * degree + 1)
    for layer in range(config.n_layers):
        sent = config.message_lmax(layer)
        shapes[f"convolution.{layer}"] = (
            dim,
            message_layout(sent, config.l_max).n_rows,
            (sent + 1) ** 2,
        )
        n_monomials = _lengths(constants, f"product.{layer}.rows")
        n_paths = _lengths(constants, f"product.{layer}.paths")
        shapes[f"product.{layer}.monomials"] = (*n_monomials, config.correlations[layer])
        shapes[f"product.{layer}.rows"] = n_monomials
        shapes[f"product.{layer}.basis"] = (*n_monomials, *n_paths)
        shapes[f"product.{layer}.paths"] = n_paths
    return shapes


def _lengths(constants: Mapping[str, torch.Tensor], name: str) -> tuple[int, ...]:
    return tuple(constants[name].shape[:1]) if name in constants else ()
