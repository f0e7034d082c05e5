"""The constants that a file's weights depend on: read from it, checked, in mhff's form.

A model built in float32 has coupling tensors and buffers rounded to float32, and the basis of its
product is the full or a reduced one. So every constant that the file holds is taken from it; those
that it does not hold are exact in every model.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from ase.data import atomic_numbers, covalent_radii

from mhff.interop.mace.activations import read_activations
from mhff.interop.mace.architecture import last_readout_path
from mhff.interop.mace.equivariance import check_equivariant
from mhff.interop.mace.generated import coupling_tensors
from mhff.interop.mace.reading import Reading
from mhff.interop.mace.refusals import expect, some
from mhff.model.config import ModelConfig
from mhff.model.coupling import (
    clebsch_gordan,
    convolution_coupling,
    convolution_paths,
    harmonic_recursion,
)

COUPLING_TOLERANCE = 1e-6
"""Tolerance on the coupling coefficients of a file built in float32 against the exact ones."""
MIN_RELATIVE_COEFFICIENT = 1e-14
"""Monomials with smaller coefficients, relative to the largest, are left out."""
BOHR_RADIUS = 0.529
"""A, with the digits of the published models."""


def read_constants(reading: Reading, config: ModelConfig) -> dict[str, torch.Tensor]:
    """All constants of a model (`mhff.model.constants`).

    Raises UnknownModelError if they are not those of its architecture.
    """
    constants = (
        {"covalent_radii": _radii(reading, config)}
        | _radial(reading, config)
        | read_activations(reading, config, last_readout_path(reading))
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
    basis = "radial_embedding.bessel_fn"
    transform = "radial_embedding.distance_transform"
    names = {"bessel": "bessel_weights", "gaussian": "gaussian_weights", "chebyshev": "n"}
    functions = _double(reading.tensor(f"{basis}.{names[config.radial_basis]}")).flatten()
    if config.radial_basis == "bessel":
        expect(
            reading.number(f"{basis}.r_max") == config.r_max,
            "its Bessel functions end elsewhere than its neighbours",
        )
        factor = reading.number(f"{basis}.prefactor")
    elif config.radial_basis == "gaussian":
        factor = reading.real(basis, "coeff")
    else:
        factor = 1.0
        expect(
            functions.tolist() == list(range(1, config.n_radial + 1)),
            "its Chebyshev polynomials are not the first ones",
        )
    expect(
        len(functions) == config.n_radial,
        f"it has {len(functions)} radial functions, but {config.n_radial} are needed",
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
    length = reading.number(f"{path}.a_prefactor") * BOHR_RADIUS
    return {
        "zbl.coefficients": _double(reading.tensor(f"{path}.c", 4)),
        "zbl.length": torch.tensor(length, dtype=torch.float64),
        "zbl.power": torch.tensor(reading.number(f"{path}.a_exp"), dtype=torch.float64),
    }


def _convolution(reading: Reading, config: ModelConfig, layer: int) -> torch.Tensor:
    """Coupling of a layer; the file has the coefficients of paths with no scalar."""
    tensors = coupling_tensors(reading.module(f"interactions.{layer}.conv_tp"))
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
        error = float((_double(tensors[degrees]) - clebsch_gordan(*degrees)).abs().max())
        expect(
            error < COUPLING_TOLERANCE, f"its coupling tensor of {degrees} is off by {error:.1e}"
        )
    given = {degrees: _double(tensors[degrees]) for degrees in needed}
    return convolution_coupling(config.message_lmax(layer), config.l_max, given)


def path_orders(
    reading: Reading, config: ModelConfig, layer: int
) -> Iterator[tuple[str, int, int]]:
    """Path, order nu and number of paths of the product's bases, by degree, then by order.

    A basis has no more paths than the tensors of its order have components.
    """
    dim = (config.l_max + 1) ** 2
    for degree in range(config.output_lmax(layer) + 1):
        path = f"products.{layer}.symmetric_contractions.contractions.{degree}"
        for order in range(1, config.correlations[layer] + 1):
            basis = reading.tensor(f"{path}.U_matrix_{order}")
            n_paths = basis.shape[-1] if basis.dim() else 0
            expect(0 < n_paths <= dim**order, f"{path}.U_matrix_{order} has {n_paths} paths")
            yield path, order, n_paths


def _product(reading: Reading, config: ModelConfig, layer: int) -> dict[str, torch.Tensor]:
    """The symmetric part of the file's basis as monomials (`mhff.model.coupling.product_basis`)."""
    dim = (config.l_max + 1) ** 2
    highest = config.correlations[layer]
    monomials: list[torch.Tensor] = []
    rows: list[torch.Tensor] = []
    blocks: list[torch.Tensor] = []
    paths: list[torch.Tensor] = []
    for path, order, n_paths in path_orders(reading, config, layer):
        degree = int(path.rpartition(".")[2])
        shape = (*((2 * degree + 1,) if degree else ()), *[dim] * order, n_paths)
        name = f"{path}.U_matrix_{order}"
        u = _double(reading.tensor(name, *shape)).reshape(2 * degree + 1, -1, n_paths)
        indices, components, basis = symmetric_monomials(u, dim, order)
        check_equivariant(indices, components, basis, config.l_max, degree, name)
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
    """Monomials of dense tensors `[2L + 1, dim^order, K]`.

    Gives sorted indices `[Q, order]`, components `[Q]` and coefficients `[Q, K]`. A monomial's
    coefficient is the sum over all permutations of its indices.
    """
    every = np.stack(np.unravel_index(np.arange(dim**order), [dim] * order), axis=1)
    flat = np.ravel_multi_index(tuple(np.sort(every, axis=1).T), [dim] * order)
    kinds, place = np.unique(flat, return_inverse=True)
    sums = u.new_zeros(u.shape[0], len(kinds), u.shape[2]).index_add(
        1, torch.from_numpy(place.reshape(-1)), u
    )
    sizes = sums.abs().amax(-1)
    is_kept = sizes > MIN_RELATIVE_COEFFICIENT * sizes.max()
    components, kept = is_kept.nonzero(as_tuple=True)
    indices = torch.from_numpy(np.stack(np.unravel_index(kinds, [dim] * order), axis=1))
    return indices[kept], components, sums[components, kept]
