"""The global parameters of a force: their names, and the weights of the heads that they give.

OpenMM unpickles these objects with the force, so this module imports nothing that can fail.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from mhff.errors import MHFFError

if TYPE_CHECKING:
    from mhff.heads import Heads

MARK = "_head_"
"""What stands between the name of a force and that of a head in a parameter's name."""


class Parameters(NamedTuple):
    """A weight for each head, and a coordinate on the path between two heads if there is one.

    The weight of head h is `<name>_head_h + (1 - lambda) [h is A] + lambda [h is B]`, where lambda
    is the parameter `<name>_lambda` of a force with `path=(A, B)`.
    """

    name: str
    """Name of the force."""
    heads: tuple[str, ...]
    path: tuple[str, str] | None = None
    """The heads at lambda = 0 and at lambda = 1."""

    @property
    def of_heads(self) -> list[str]:
        """Names of the parameters that are heads' weights, in the order of the heads."""
        return [f"{self.name}{MARK}{head}" for head in self.heads]

    @property
    def of_path(self) -> str:
        """Name of the parameter lambda, which exists if there is a path."""
        return f"{self.name}_lambda"

    @property
    def names(self) -> list[str]:
        """Names of all parameters."""
        return self.of_heads if self.path is None else [*self.of_heads, self.of_path]

    def defaults(self, weights: Sequence[float]) -> dict[str, float]:
        """Values in a new Context: `weights [n_heads]`, and lambda = 0."""
        return dict(zip(self.names, [*weights, 0.0], strict=False))

    def weights(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The weight of each head at these values of the parameters."""
        weights = [values[parameter] for parameter in self.of_heads]
        if self.path is not None:
            fraction = values[self.of_path]
            start, end = self.path
            weights[self.heads.index(start)] += 1.0 - fraction
            weights[self.heads.index(end)] += fraction
        return tuple(weights)

    def derivatives(self, parameter: str) -> tuple[float, ...]:
        """d(weight)/d(parameter) for each head; weights are linear in the parameters."""
        at = dict.fromkeys(self.names, 0.0)
        origin = self.weights(at)
        unit = self.weights(at | {parameter: 1.0})
        return tuple(after - before for after, before in zip(unit, origin, strict=True))


def checked_path(heads: Heads, path: object) -> tuple[str, str]:
    """The two heads of a user's `path`; raises MHFFError unless they exist and differ."""
    example = f"path=({heads.names[0]!r}, {heads.names[-1]!r})"
    if not isinstance(path, (tuple, list)) or len(path) != 2:
        raise MHFFError(f"expected the names of two heads as path, got {path!r}; write {example}")
    start, end = path
    if heads.index(start) == heads.index(end):
        raise MHFFError(
            f"expected two different heads as path, got '{start}' twice: this model has the heads "
            f"{', '.join(heads.names)}; choose another, or give head='{start}' and no path"
        )
    return start, end
