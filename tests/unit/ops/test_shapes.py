"""Shapes: where the rows of a message lie, and which coefficients are not zero."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mhff.model.coupling import (
    convolution_coupling,
    convolution_paths,
    harmonic_recursion,
)
from mhff.ops.shapes import ConvolutionShape, GeometryShape, MessageLayout


def test_rows_are_ordered_by_degree_then_component_then_path() -> None:
    layout = MessageLayout([(0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1)])
    assert layout.rows() == [
        (0, 0), (1, 0),
        (2, 0), (3, 0), (2, 1), (3, 1), (2, 2), (3, 2),
    ]  # fmt: skip
    assert layout.paths_to == [2, 2]
    assert layout.rows_to == [2, 6]
    assert layout.rows_below == [0, 2, 8]
    assert layout.slots == [0, 1, 0, 1]


@given(st.integers(0, 2), st.integers(0, 3))
def test_every_row_has_one_path_and_component(input_lmax: int, l_max: int) -> None:
    layout = MessageLayout(convolution_paths(input_lmax, l_max))
    rows = layout.rows()
    assert [layout.row(path, m) for path, m in rows] == list(range(layout.n_rows))
    assert layout.rows_below[-1] == layout.n_rows == len(set(rows))


@pytest.mark.parametrize("input_lmax", [0, 1, 2])
def test_couplings_are_all_of_the_tensor(input_lmax: int) -> None:
    coupling = convolution_coupling(input_lmax, 2)
    shape = ConvolutionShape(convolution_paths(input_lmax, 2), coupling, 8)
    rebuilt = torch.zeros_like(coupling)
    for path, (l1, _, _) in enumerate(shape.paths):
        for m, a, b, value in shape.couplings(path):
            rebuilt[b, shape.layout.row(path, m), l1**2 + a] = value
    assert torch.allclose(rebuilt, coupling, rtol=0, atol=1e-12)


def test_terms_of_the_recursion_are_all_of_its_matrices() -> None:
    shape = GeometryShape([harmonic_recursion(l) for l in (2, 3)])
    assert shape.n_harmonics == 16
    for l, matrix in zip((2, 3), shape.recursions, strict=True):
        rebuilt = torch.zeros_like(matrix)
        for out, left, right, value in shape.recursion_terms:
            if l**2 <= out < (l + 1) ** 2:
                rebuilt[(left - (l - 1) ** 2) * 3 + right, out - l**2] = value
        assert torch.allclose(rebuilt, matrix, rtol=0, atol=1e-12)
