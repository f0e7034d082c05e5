"""The activation functions of a file, and the factors by which e3nn normalises them."""

from __future__ import annotations

from typing import Any

import torch

from mhff.interop.mace.reading import Reading
from mhff.interop.mace.refusals import UnknownModelError, expect
from mhff.interop.torchfile.names import GETATTR, TORCH_FUNCTIONS
from mhff.interop.torchfile.pickled import Global
from mhff.interop.torchfile.refusals import quoted
from mhff.interop.torchfile.values import Inert
from mhff.model.config import ModelConfig
from mhff.model.constants import MOMENTS

FUNCTIONS = ("silu", "sigmoid", "tanh", "abs")
FUNCTION_MODULES = ("torch.nn.functional", "torch._C._nn")
MOMENT_TOLERANCE = 1e-3
"""Tolerance on a factor against the known one, which is itself a Monte-Carlo estimate."""


def function_name(value: Any) -> str:
    """Name of an activation function; `none` for None. Raises UnknownModelError for others."""
    match value:
        case None:
            return "none"
        case Global(module=module, name=name) if module in FUNCTION_MODULES and name in FUNCTIONS:
            return name
        case Inert(path=path, args=(Global(path=of), str() as name)) if (
            path == GETATTR and of == TORCH_FUNCTIONS and name in FUNCTIONS
        ):
            return name
    found = value.path if isinstance(value, Global | Inert) else type(value).__name__
    raise UnknownModelError(
        f"it has the function {quoted(found)}, but mhff knows {', '.join(FUNCTIONS)}"
    )


def readout_activation(reading: Reading, readout: str) -> str:
    """Name of a non-linear readout's activation."""
    act = reading.find(f"{readout}.non_linearity.acts.0")
    return "none" if act is None else function_name(act.attributes.get("f"))


def read_activations(
    reading: Reading, config: ModelConfig, last_readout: str
) -> dict[str, torch.Tensor]:
    """Factors of silu, sigmoid and the readout's activation, as constants of the model.

    Raises UnknownModelError unless the factors of one function agree all over the file.
    """
    found: dict[str, set[float]] = {"silu": set(), "sigmoid": set(), "readout": set()}
    for layer in range(config.n_layers):
        place = f"interactions.{layer}"
        if config.block(layer).is_nonlinear:
            scalar, gate = _gate_factors(reading, f"{place}.equivariant_nonlin")
            found["silu"].add(scalar)
            found["sigmoid"].add(gate)
        else:
            found["silu"].add(reading.real(f"{place}.conv_tp_weights.layer0.act", "cst"))
    act = f"{last_readout}.non_linearity.acts.0"
    if reading.find(act) is not None:
        is_identity = reading.flag(act, "_is_id", default=False)
        found["readout"].add(1.0 if is_identity else reading.real(act, "cst"))
    functions = {"silu": "silu", "sigmoid": "sigmoid", "readout": config.readout_activation}
    return {
        f"activation.{name}": _agreed(found[name], function) for name, function in functions.items()
    }


def _agreed(factors: set[float], function: str) -> torch.Tensor:
    expect(len(factors) < 2, f"it has several factors for {function}")
    factor = next(iter(factors), MOMENTS[function])
    expect(
        abs(factor - MOMENTS[function]) < MOMENT_TOLERANCE,
        f"its {function} has the factor {factor}",
    )
    return torch.tensor(factor, dtype=torch.float64)


def _gate_factors(reading: Reading, path: str) -> tuple[float, float]:
    """Factors of the gate's silu and sigmoid; files up to mace 0.3.15 have e3nn's Gate."""
    if "_scalar_cst" in reading.module(path).attributes:
        return reading.real(path, "_scalar_cst"), reading.real(path, "_gate_cst")
    scalars = reading.real(f"{path}.act_scalars.acts.0", "cst")
    gates = reading.real(f"{path}.act_gates.acts.0", "cst")
    return scalars, gates
