"""What torch learns of an operator follows from its one definition."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from mhff.model.coupling import convolution_coupling, convolution_paths
from mhff.ops import operators as table
from mhff.ops.cpu import code
from mhff.ops.cpu.code import CpuTarget, program_code
from mhff.ops.registration import Inputs, Operator, declared, define, find, once
from mhff.ops.shapes import ConvolutionShape


def scaled(x: Inputs, needed: frozenset[str], call: Any, gradient: torch.Tensor) -> dict[str, Any]:
    """Gradients of `scaled_sum`, of those inputs that want one."""
    gradients = {"terms": [gradient * x.factor] * len(x.terms), "offset": gradient}
    return {name: value for name, value in gradients.items() if name in needed}


def test_gradients_go_to_inputs_by_name() -> None:
    arguments = ("Tensor[] terms", "SymInt[] unused", "offset", "float factor")
    operator = Operator("", arguments, 1, lambda x: torch.empty_like(x.offset), scaled)
    assert operator.schema == (
        "(Tensor[] terms, SymInt[] unused, Tensor offset, float factor) -> Tensor"
    )
    functions = {"": lambda terms, unused, offset, factor: sum(terms) * factor + offset}
    define("mhff_test", "scaled_sum", [operator], functions)
    first, second, offset = (torch.randn(3, dtype=torch.float64, requires_grad=True) for _ in "abc")

    def function(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        return find("mhff_test", "scaled_sum")([a, b], [1, 2], c, 2.5)

    assert torch.autograd.gradcheck(function, (first, second, offset))
    torch.library.opcheck(find("mhff_test", "scaled_sum"), ([first, second], [1, 2], offset, 2.5))


def test_a_declared_operator_is_traced_and_forgotten() -> None:
    operator = Operator(
        "_adjoint", ("x",), 1, lambda x: torch.empty_like(x.x), lambda x, needed, call, g: {"x": g}
    )
    with suppress(ZeroDivisionError), declared("mhff_later", {"a": [operator]}):
        traced = make_fx(find("mhff_later", "a_adjoint"), tracing_mode="fake")(torch.ones(3))
        assert "mhff_later.a_adjoint" in traced.code
        with pytest.raises(NotImplementedError):
            find("mhff_later", "a_adjoint")(torch.ones(3))
        raise ZeroDivisionError
    with pytest.raises(AttributeError):
        find("mhff_later", "a_adjoint")
    define("mhff_later", "a", [operator], {"_adjoint": torch.clone})
    assert find("mhff_later", "a_adjoint")(torch.ones(3)).tolist() == [1, 1, 1]


def test_an_operator_is_made_once() -> None:
    made: list[int] = []

    def make() -> int:
        made.append(1)
        if len(made) == 1:
            raise RuntimeError("no")
        return len(made)

    with pytest.raises(RuntimeError):
        once("mhff_test once", make)
    assert [once("mhff_test once", make) for _ in range(2)] == [2, 2]


def test_a_new_tensor_of_a_kernel_is_one_more_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Schema and C++ signature follow; what remains is the code that reads it."""
    shape = ConvolutionShape(convolution_paths(0, 1), convolution_coupling(0, 1), 8, (8, 8))
    radial = (*table.TABLE, "extra", *table.MAPS, *table.SPLINE)
    monkeypatch.setattr(code, "operators_of", lambda of: table.tabulated_convolution(shape, radial))
    text = program_code({"conv": shape}, CpuTarget(torch.float32, 32), "mhff_test")
    assert text.count("Tensor tables, Tensor extra, Tensor maps") == 2 * 3  # schema and C++
    forward, adjoint, *_ = table.tabulated_convolution(shape, radial)
    assert adjoint.names == ("gradient", *forward.names)
