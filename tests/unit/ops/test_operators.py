"""Convolution and contraction as operators: equal to their references, and fit for compilers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from models import CONFIGS, random_network
from structures import far_apart, no_atoms, rattled_bulk
from tolerances import ROUNDING, assert_close

from mhff.atoms import graph_from_atoms
from mhff.model.acceleration import use_operators
from mhff.model.coupling import convolution_coupling, convolution_paths, product_basis
from mhff.model.derivatives import energies_and_edge_gradients
from mhff.ops.contraction import (
    ATOMS_AT_ONCE,
    contraction_adjoint,
    contraction_operator,
    symmetric_contraction,
)
from mhff.ops.convolution import (
    EDGES_AT_ONCE,
    convolution,
    convolution_adjoint,
    convolution_operator,
)


def randoms(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def convolution_arguments(
    n_edges: int, n_local: int = 3, n_all: int = 5, channels: int = 2
) -> tuple[Any, ...]:
    """Features, harmonics, weights with gradients, then constants; some senders are ghosts."""
    generator = torch.Generator().manual_seed(n_edges)
    paths = [path[2] for path in convolution_paths(1, 2)]
    edge_index = torch.stack(
        [torch.randint(n, (n_edges,), generator=generator) for n in (n_all, n_local)]
    )
    return (
        randoms(generator, n_all, 4, channels),
        randoms(generator, n_edges, 9),
        randoms(generator, n_edges, len(paths), channels),
        convolution_coupling(1, 2),
        [paths.count(degree) for degree in range(3)],
        edge_index,
        n_local,
    )


def contraction_arguments(
    n_atoms: int, per_atom: bool, channels: int = 2
) -> tuple[torch.Tensor, ...]:
    """Features with a gradient, coefficients of all atoms or of each, then constants."""
    generator = torch.Generator().manual_seed(n_atoms)
    basis = product_basis(1, 1, 3)
    coefficients = torch.randn(
        n_atoms if per_atom else 1,
        len(basis["rows"]),
        channels,
        generator=generator,
        dtype=torch.float64,
    )
    row_sum = torch.nn.functional.one_hot(basis["rows"], 4).T.double()
    return randoms(generator, n_atoms, 4, channels), coefficients, basis["monomials"], row_sum


def test_convolution_by_its_formula() -> None:
    features, harmonics, weights, coupling, paths_to, edge_index, n_local = convolution_arguments(7)
    path_of_row = [
        sum(paths_to[:degree]) + path
        for degree, n in enumerate(paths_to)
        for _ in range(2 * degree + 1)
        for path in range(n)
    ]
    expected = torch.zeros(n_local, coupling.shape[1], features.shape[2], dtype=torch.float64)
    for e, (sender, receiver) in enumerate(edge_index.T.tolist()):
        for row, path in enumerate(path_of_row):
            coupled = torch.einsum("b,ba,ac->c", harmonics[e], coupling[:, row], features[sender])
            expected[receiver, row] += (weights[e, path] * coupled).detach()
    found = convolution(features, harmonics, weights, coupling, paths_to, edge_index, n_local)
    assert_close(found.detach(), expected, ROUNDING)


def test_contraction_by_its_formula() -> None:
    features, coefficients, monomials, row_sum = contraction_arguments(3, per_atom=True)
    padded = torch.cat([features, torch.ones(3, 1, 2, dtype=torch.float64)], 1).detach()
    expected = torch.zeros(3, 4, 2, dtype=torch.float64)
    for q, indices in enumerate(monomials.tolist()):
        expected[:, row_sum[:, q].argmax()] += coefficients[:, q] * padded[:, indices].prod(1)
    assert_close(
        symmetric_contraction(features, coefficients, monomials, row_sum).detach(),
        expected,
        ROUNDING,
    )


@pytest.mark.parametrize("n_edges", [0, 1, EDGES_AT_ONCE, EDGES_AT_ONCE + 3])
def test_convolution_operator(n_edges: int) -> None:
    arguments = convolution_arguments(n_edges)
    one, other = convolution_operator(*arguments), convolution(*arguments)
    assert_close(one.detach(), other.detach(), ROUNDING)
    gradient = torch.randn(
        one.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    ours, expected = (torch.autograd.grad(value, arguments[:3], gradient) for value in (one, other))
    for a, b in zip(ours, expected, strict=True):
        assert_close(a, b, ROUNDING)


@pytest.mark.parametrize("per_atom", [True, False])
@pytest.mark.parametrize("n_atoms", [0, 1, ATOMS_AT_ONCE, ATOMS_AT_ONCE + 3])
def test_contraction_operator(n_atoms: int, per_atom: bool) -> None:
    arguments = contraction_arguments(n_atoms, per_atom)
    one, other = contraction_operator(*arguments), symmetric_contraction(*arguments)
    assert_close(one.detach(), other.detach(), ROUNDING)
    gradient = torch.randn(
        one.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    (ours,), (expected,) = (
        torch.autograd.grad(value, arguments[:1], gradient) for value in (one, other)
    )
    assert_close(ours, expected, ROUNDING)


def test_the_references_have_second_derivatives() -> None:
    *inputs, coupling, paths_to, edge_index, n_local = convolution_arguments(4, channels=1)
    assert torch.autograd.gradgradcheck(
        lambda *x: convolution(*x, coupling, paths_to, edge_index, n_local), inputs
    )
    features, *rest = contraction_arguments(2, per_atom=True, channels=1)
    assert torch.autograd.gradgradcheck(lambda x: symmetric_contraction(x, *rest), features)


def test_fit_for_compilers() -> None:
    arguments = convolution_arguments(5)
    torch.library.opcheck(convolution_operator, arguments)
    constants = tuple(
        value.detach() if isinstance(value, torch.Tensor) else value for value in arguments
    )
    gradient = torch.ones(3, arguments[3].shape[1], 2, dtype=torch.float64)
    torch.library.opcheck(convolution_adjoint, (gradient, *constants[:-1]))
    arguments = contraction_arguments(4, per_atom=False)
    torch.library.opcheck(contraction_operator, arguments)
    torch.library.opcheck(
        contraction_adjoint,
        (torch.ones(4, 4, 2, dtype=torch.float64), arguments[0].detach(), *arguments[1:]),
    )


@pytest.mark.parametrize("build", [rattled_bulk, far_apart, no_atoms])
@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_a_network_through_its_operators(name: str, build) -> None:
    reference, network = (
        random_network(**CONFIGS[name]).double().requires_grad_(False) for _ in range(2)
    )
    use_operators(network)
    graph = graph_from_atoms(build(), network.config.elements, network.config.r_max)
    weights = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64).expand(graph.n_local, -1)
    ours, expected = (
        energies_and_edge_gradients(model, graph, weights) for model in (network, reference)
    )
    for a, b in zip(ours, expected, strict=True):
        assert_close(a, b, ROUNDING)
