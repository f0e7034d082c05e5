"""Writes `<name>.model` and `<name>.npz` for other forms of models (JSON, see
tests/parity/variants.py).

.venv-peer/bin/python tests/parity/peer/write_variants.py JOB FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from calibrate import calibrate
from evaluate import reference_numbers
from mace.cli.convert_e3nn_cueq import run as converted
from mace.modules.lora import LoRADenseLinear, LoRAFCLayer, LoRAO3Linear, inject_lora
from random_models import build

# isort: split
import cuequivariance as cue
import cuequivariance_torch as cuet

ADAPTERS = (LoRAO3Linear, LoRADenseLinear, LoRAFCLayer)
RANK = 3
ALPHA = 2.0
SHARE = 0.3
"""Size of the adapters' part relative to the weights'."""


def with_adapters(model: torch.nn.Module) -> torch.nn.Module:
    """The model with low-rank adapters that change it noticeably."""
    inject_lora(model, rank=RANK, alpha=ALPHA)
    for module in model.modules():
        if isinstance(module, ADAPTERS):
            for name, parameter in module.named_parameters():
                if "lora_" in name:
                    with torch.no_grad():
                        parameter.copy_(SHARE * torch.randn_like(parameter))
    return model


def fused(model: torch.nn.Module) -> torch.nn.Module:
    """The model as it is saved on a GPU, where a convolution is one polynomial.

    mace-torch cannot evaluate such a file again, so it is no reference for it.
    """
    for block in model.interactions:
        conv = block.conv_tp
        polynomial = (
            cue.descriptors.channelwise_tensor_product(
                conv.irreps_in1, conv.irreps_in2, conv.irreps_out
            )
            .flatten_coefficient_modes()
            .squeeze_modes()
            .polynomial
        )
        block.conv_tp = cuet.SegmentedPolynomial(
            polynomial, math_dtype=torch.get_default_dtype(), method="uniform_1d"
        )
        block.conv_fusion = True
        block.cueq_config.conv_fusion = True
    return model


def write(case: dict[str, Any], form: str, folder: Path) -> None:
    """One variant: the file, then its numbers."""
    path = folder / f"{case['name']}.model"
    keeps = "last layer" in form
    model = build(case["options"] | {"keep_last_layer_irreps": keeps}, case["seed"])
    calibrate(model, case["structures"])
    if "cueq" in form:
        model = converted(model, layout="mul_ir" if "mul_ir" in form else "ir_mul")
    if "lora" in form:
        model = with_adapters(model)
    torch.save(model, path)
    np.savez(path.with_suffix(".npz"), **reference_numbers(path, case["structures"]))
    if "fused" in form:
        torch.save(fused(model), path)


def main() -> None:
    """Read the command line."""
    task, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    torch.set_num_threads(1)
    for case in task["cases"]:
        write(case, task["forms"][case["name"]], folder)
        print(case["name"], flush=True)


if __name__ == "__main__":
    main()
