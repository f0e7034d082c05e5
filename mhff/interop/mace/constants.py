"""The constants that a file's weights mean something together with: read from it, checked, in
mhff's form.

A model built in float32 has coupling tensors rounded to float32, and so have its buffers; the
product's basis is the full or a reduced one. So everything that the file holds is taken from it;
what it does not hold is exact in every model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from ase.data import atomic_numbers, covalent_radii

from mhff.interop.mace.equivariance import check_equivariant
from mhff.interop.mace.reading import Reading, expect, some
from mhff.model.config import ModelConfig
from mhff.model.constants import MOMENTS
from mhff.model.coupling import (
    clebsch_gordan,
    convolution_coupling,
    convolution_paths,
    harmonic_recursion,
)

ROUNDING = 1e-6
"""How far the coupling coefficients of a file built in float32 may be from the exact ones."""
MOMENT_TOLERANCE = 1e-3
"""How far an activation's factor may be from the known one, which is a Monte-Carlo value itself."""
NOISE = 1e-14
"""A monomial of the product whose coefficients are all smaller than this, relative to the largest,
is none.
"""
ZBL_LENGTH_UNIT = 0.529
"""The Bohr radius, A, with the digits of the published models."""


def read_constants(reading: Reading, config: ModelConfig) -> dict[str, torch.Tensor]:
    """All constants of a model (`mhff.model.constants`); raises UnknownModelError where they are
    not what they should be.
    """
    constants = (
        {"covalent_radii": _radii(reading, config)}
        | _radial(reading, config)
        | _activations(reading, config)
    )
    if config.zbl:
        constants |= _pair_repulsion(reading)
    for degree in range(2, config.l_max + 1):
        constants[f"harmonics.{degree}"] = harmonic_recursion(degree)
    for layer in range(config.n_layers):
        constants[f"convolution.{layer}"] = _convolution(reading, config, layer)
        basis = _product(reading, config, layer)
        constants |= {f"product.{layer}.{name}": value for name, value in basis.items()}
    return constants


def _double(value: torch.Tensor) -> torch.Tensor:
    return value.detach().to(torch.float64)


def _radii(reading: Reading, config: ModelConfig) -> torch.Tensor:
    numbers = [atomic_numbers[symbol] for symbol in config.elements]
    names = [
        f"{place}.covalent_radii"
        for place in ("radial_embedding.distance_transform", "pair_repulsion_fn")
    ]
    tables = [_double(reading.tensor(name)) for name in names if name in reading.tensors]
    for table in tables:
        expect(
            table.dim() == 1 and len(table) > max(numbers),
            "its covalent radii do not cover its elements",
        )
    chosen = [table[numbers] for table in tables] or [
        torch.tensor(covalent_radii[numbers], dtype=torch.float64)
    ]
    expect(
        all(torch.equal(radii, chosen[0]) for radii in chosen),
        "it has two tables of covalent radii",
    )
    expect(bool((chosen[0] > 0).all()), "it has covalent radii that are not positive")
    return chosen[0]


def _radial(reading: Reading, config: ModelConfig) -> dict[str, torch.Tensor]:
    basis, transform = "radial_embedding.bessel_fn", "radial_embedding.distance_transform"
    names = {"bessel": "bessel_weights", "gaussian": "gaussian_weights", "chebyshev": "n"}
    functions = _double(reading.tensor(f"{basis}.{names[config.radial_basis]}")).flatten()
    if config.radial_basis == "bessel":
        expect(
            reading.number(f"{basis}.r_max") == config.r_max,
            "its Bessel functions end elsewhere than its neighbours",
        )
        factor = reading.number(f"{basis}.prefactor")
    elif config.radial_basis == "gaussian":
        factor = reading.typed(basis, "coeff", float)
    else:
        factor = 1.0
        expect(
            functions.tolist() == list(range(1, config.n_radial + 1)),
            "its Chebyshev polynomials are not the first ones",
        )
    expect(
        len(functions) == config.n_radial,
        f"it has {len(functions)} radial functions, {config.n_radial} are needed",
    )
    parameters = {"agnesi": ("a", "q", "p"), "soft": ("alpha",), "none": ()}[
        config.distance_transform
    ]
    values = [reading.number(f"{transform}.{name}") for name in parameters]
    return {
        "radial.functions": functions,
        "radial.factor": torch.tensor(factor, dtype=torch.float64),
        "radial.transform": torch.tensor(values, dtype=torch.float64),
    }


def _pair_repulsion(reading: Reading) -> dict[str, torch.Tensor]:
    path = "pair_repulsion_fn"
    for name in ("r_max", "cutoff.p", "cutoff.r_max"):  # old files have them and nothing uses them
        if f"{path}.{name}" in reading.tensors:
            reading.tensor(f"{path}.{name}")
    length = reading.number(f"{path}.a_prefactor") * ZBL_LENGTH_UNIT
    return {
        "zbl.coefficients": _double(reading.tensor(f"{path}.c", 4)),
        "zbl.length": torch.tensor(length, dtype=torch.float64),
        "zbl.power": torch.tensor(reading.number(f"{path}.a_exp"), dtype=torch.float64),
    }


def _activations(reading: Reading, config: ModelConfig) -> dict[str, torch.Tensor]:
    """Factors of silu, sigmoid and the readout's activation; those of one function must agree all
    over the file.
    """
    found: dict[str, set[float]] = {"silu": set(), "sigmoid": set(), "readout": set()}
    for layer in range(config.n_layers):
        place = f"interactions.{layer}"
        if config.block(layer).is_nonlinear:
            scalar, gate = _gate_factors(reading, f"{place}.equivariant_nonlin")
            found["silu"].add(scalar)
            found["sigmoid"].add(gate)
        else:
            found["silu"].add(reading.typed(f"{place}.conv_tp_weights.layer0.act", "cst", float))
    last = max(reading.module("readouts").children, key=int)
    act = reading.find(f"readouts.{last}.non_linearity.acts.0")
    if act is not None:
        is_identity = bool(act.attributes.get("_is_id", False))
        found["readout"].add(
            1.0
            if is_identity
            else reading.typed(f"readouts.{last}.non_linearity.acts.0", "cst", float)
        )
    functions = {"silu": "silu", "sigmoid": "sigmoid", "readout": config.readout_activation}
    constants = {}
    for name, function in functions.items():
        expect(len(found[name]) < 2, f"it has several factors for {function}")
        factor = found[name].pop() if found[name] else MOMENTS[function]
        expect(
            abs(factor - MOMENTS[function]) < MOMENT_TOLERANCE,
            f"its {function} has the factor {factor}",
        )
        constants[f"activation.{name}"] = torch.tensor(factor, dtype=torch.float64)
    return constants


def _gate_factors(reading: Reading, path: str) -> tuple[float, float]:
    """Factors of the gate's silu and sigmoid; files up to mace 0.3.15 have e3nn's Gate."""
    if "_scalar_cst" in reading.module(path).attributes:
        return reading.typed(path, "_scalar_cst", float), reading.typed(path, "_gate_cst", float)
    scalars, gates = f"{path}.act_scalars.acts.0", f"{path}.act_gates.acts.0"
    return reading.typed(scalars, "cst", float), reading.typed(gates, "cst", float)


def _convolution(reading: Reading, config: ModelConfig, layer: int) -> torch.Tensor:
    """Coupling of a layer with the coefficients of the file, where it has them: those with all
    degrees above 0.
    """
    tensors = reading.module(f"interactions.{layer}.conv_tp").coupling_tensors()
    needed = {
        path
        for path in convolution_paths(config.message_lmax(layer), config.l_max)
        if min(path) > 0
    }
    expect(
        needed <= set(tensors),
        f"it lacks coupling tensors of {some(sorted(map(str, needed - set(tensors))))}",
    )
    for degrees in needed:
        tensor, exact = tensors[degrees], clebsch_gordan(*degrees)
        error = float((_double(tensor) - exact).abs().max())
        expect(error < ROUNDING, f"its coupling tensor of {degrees} is off by {error:.1e}")
    return convolution_coupling(
        config.message_lmax(layer), config.l_max, {key: _double(tensors[key]) for key in needed}
    )


def path_orders(
    reading: Reading, config: ModelConfig, layer: int
) -> Iterator[tuple[str, int, int]]:
    """Place, order nu and number of paths of every block of the product's basis, by degree, then by
    order.
    """
    for degree in range(config.output_lmax(layer) + 1):
        path = f"products.{layer}.symmetric_contractions.contractions.{degree}"
        for order in range(1, config.correlations[layer] + 1):
            yield path, order, reading.tensor(f"{path}.U_matrix_{order}").shape[-1]


def _product(reading: Reading, config: ModelConfig, layer: int) -> dict[str, torch.Tensor]:
    """The file's basis as monomials (`mhff.model.coupling.product_basis`), which only its symmetric
    part enters.
    """
    dim, highest = (config.l_max + 1) ** 2, config.correlations[layer]
    monomials, rows, blocks, paths = [], [], [], []
    for path, order, n_paths in path_orders(reading, config, layer):
        degree = int(path.rpartition(".")[2])
        shape = (*((2 * degree + 1,) if degree else ()), *[dim] * order, n_paths)
        u = _double(reading.tensor(f"{path}.U_matrix_{order}", *shape)).reshape(
            2 * degree + 1, -1, n_paths
        )
        indices, components, basis = symmetric_monomials(u, dim, order)
        check_equivariant(
            indices, components, basis, config.l_max, degree, f"{path}.U_matrix_{order}"
        )
        monomials.append(torch.nn.functional.pad(indices, (0, highest - order), value=dim))
        rows.append(components + degree**2)
        blocks.append(basis)
        paths.append(torch.full((n_paths,), n_paths))
    return {
        "monomials": torch.cat(monomials),
        "rows": torch.cat(rows),
        "basis": torch.block_diag(*blocks),
        "paths": torch.cat(paths),
    }


def symmetric_monomials(
    u: torch.Tensor, dim: int, order: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Monomials of dense tensors `[2L + 1, dim^order, K]`: sorted indices `[Q, order]`, components
    `[Q]`, sums `[Q, K]`.

    A monomial's coefficient is the sum over all orders of its indices.
    """
    every = np.stack(np.unravel_index(np.arange(dim**order), [dim] * order), axis=1)
    flat = np.ravel_multi_index(tuple(np.sort(every, axis=1).T), [dim] * order)
    kinds, place = np.unique(flat, return_inverse=True)
    sums = u.new_zeros(u.shape[0], len(kinds), u.shape[2]).index_add(
        1, torch.from_numpy(place.reshape(-1)), u
    )
    largest = sums.abs().amax(-1)
    components, kept = (largest > NOISE * max(float(largest.max()), 1e-300)).nonzero(as_tuple=True)
    indices = torch.from_numpy(np.stack(np.unravel_index(kinds, [dim] * order), axis=1))
    return indices[kept], components, sums[components, kept]
