"""Settings of what fine-tuning changes: frozen parts, and low-rank changes in place of weights."""

from __future__ import annotations

from pydantic import Field

from mhff.errors import listing, nearest_to
from mhff.yamlfile import Section

PARTS = ("embedding", "interactions", "products", "readouts")
"""Parts of a model that can be frozen; all but the first have one for each layer: products.0."""


class LoraSettings(Section):
    """Low-rank changes of linear maps, which are trained in place of their weights.

    E. J. Hu et al., arXiv:2106.09685: W + alpha / rank A B, where B is zero at first.
    """

    rank: int = Field(ge=1)
    """Rank of each change."""
    alpha: float | None = Field(default=None, gt=0)
    """Size of the changes, which acts like the learning rate; left out: the rank."""

    @property
    def scale(self) -> float:
        """Factor of the products A B."""
        return 1.0 if self.alpha is None else self.alpha / self.rank


def check_part(name: str) -> str:
    """The name of a part; raises ValueError, with the nearest name, for any other."""
    root, dot, layer = name.partition(".")
    if root in PARTS and (not dot or (root != PARTS[0] and layer.isdecimal())):
        return name
    raise ValueError(
        f"unknown part {name}; {nearest_to(root, PARTS)}the parts are {listing(PARTS)}, and "
        "those of one layer, for example products.0"
    )
