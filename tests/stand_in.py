"""A module with everything that a mace-torch model's file has, made of torch's own classes."""

from __future__ import annotations

import io
import re
import warnings
from collections import OrderedDict
from functools import cache

import numpy as np
import torch

from mhff.interop.torchfile.modules import LibraryFormat, Scripts

KIND = LibraryFormat(
    packages=("mace.modules.", "e3nn.o3.", "e3nn.nn."),
    scripts=Scripts("__codegen__", "_compiled_main_left_right", re.compile(r"_w3j_\d_\d_\d")),
)
"""Files like those of mace-torch."""


class CouplingCode(torch.nn.Module):
    """A module like those that e3nn generates for tensor products: coupling tensors as buffers."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(5)
        self.register_buffer("_w3j_1_1_2", torch.randn(3, 3, 5, generator=generator))
        self.register_buffer(
            "_w3j_1_2_1", torch.randn(3, 5, 3, generator=generator, dtype=torch.float64)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self._w3j_1_1_2.sum() * self._w3j_1_2_1.sum()


@cache
def coupling_code() -> bytes:
    """TorchScript of a `CouplingCode`, as e3nn keeps it in its modules."""
    return scripted(CouplingCode())


def scripted(module: torch.nn.Module) -> bytes:
    """A module compiled to TorchScript, which torch deprecates and e3nn uses."""
    stream = io.BytesIO()
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        torch.jit.save(torch.jit.script(module), stream)
    return stream.getvalue()


def stand_in_model() -> torch.nn.Module:
    """A model with nested modules, tensors of many kinds, generated code and odd attributes."""
    torch.manual_seed(3)
    interaction = torch.nn.Module()
    interaction.conv_tp = torch.nn.Module()
    interaction.conv_tp.__dict__["__codegen__"] = {
        "_compiled_main_left_right": coupling_code(),
        "_compiled_main_right": b"PK",
    }
    interaction.linear = torch.nn.Linear(3, 4)
    interaction.hidden_irreps = "6x0e+3x1o"
    interaction.avg_num_neighbors = np.float64(8.25)
    model = torch.nn.Sequential(
        OrderedDict(
            embedding=torch.nn.Linear(5, 2, bias=False).double(), unused=torch.nn.Identity()
        )
    )
    model.interactions = torch.nn.ModuleList(
        [interaction, torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.SiLU())]
    )
    model.heads = ["materials", "größer"]
    model.specs = OrderedDict(
        spin={"offset": 1, "use": None}, charge=(1.5, -(2**40), True, b"\x00\xff")
    )
    model.gate = torch.tanh
    model.register_buffer("r_max", torch.tensor(6.0, dtype=torch.float64))
    model.register_buffer("atomic_numbers", torch.tensor([1, 6, 8]))
    model.register_buffer("mask", torch.tensor([True, False, True]))
    model.register_buffer("empty", torch.zeros(0, 3))
    model.register_buffer("transposed", torch.arange(12.0).reshape(3, 4).T)
    model.register_buffer("view", model.transposed[1:, 1])
    model.register_buffer("scratch", torch.ones(2, dtype=torch.bfloat16), persistent=False)
    model.register_buffer("nothing", None)
    model.tied = model.embedding
    return model


def saved(value: object, **options: object) -> bytes:
    """What `torch.save` writes."""
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()
