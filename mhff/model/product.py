"""Product block: higher body orders by symmetric contraction, a linear map, the skip connection."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from mhff.model.config import ModelConfig
from mhff.model.exact import ExactConstants
from mhff.model.layers import PackedLinear, add_degrees, normal, pack_degrees, split_degrees
from mhff.ops.contraction import ContractSets, contract_sets


class Product(ExactConstants):
    """Node features linear(B) + skip, B the higher body orders of A.

    I. Batatia et al., arXiv:2206.07697, equations 10 and 11. The contraction is a sparse polynomial
    with the coefficients `basis @ weights`.
    """

    monomials: torch.Tensor
    basis: torch.Tensor
    row_sum: torch.Tensor

    def __init__(
        self,
        config: ModelConfig,
        layer: int,
        constants: Mapping[str, torch.Tensor],
        generator: torch.Generator,
    ) -> None:
        """`constants`: see `mhff.model.constants`."""
        super().__init__()
        basis = {
            name: constants[f"product.{layer}.{name}"]
            for name in ("monomials", "rows", "basis", "paths")
        }
        channels = config.n_channels
        n_degrees = config.output_lmax(layer) + 1
        n_sets = 1 if config.agnostic_product else len(config.elements)
        self.operator: ContractSets = contract_sets
        self.add_constant("monomials", basis["monomials"])
        self.add_constant("basis", basis["basis"])
        self.add_constant(
            "row_sum", functional.one_hot(basis["rows"], n_degrees**2).T.to(torch.float64)
        )
        shape = (n_sets, len(basis["paths"]), channels)
        self.weights = nn.Parameter(normal(shape, generator, basis["paths"][:, None]))
        self.linear = PackedLinear([channels] * n_degrees, [channels] * n_degrees, generator)

    def forward(
        self, a: torch.Tensor, skip: list[torch.Tensor], species: torch.Tensor
    ) -> torch.Tensor:
        """Node features `[n_local, (output_lmax + 1)^2, C]`.

        `a [n_local, (l_max + 1)^2, C]`; `skip`: the skip term of each degree that has one;
        `species [n_local]`.
        """
        coefficients = torch.matmul(self.basis, self.weights)
        products = self.operator(a, coefficients, species, self.monomials, self.row_sum)
        return pack_degrees(add_degrees(self.linear(split_degrees(products)), skip))
