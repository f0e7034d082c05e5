"""Settings of the loss: its kind, and the weights of its terms."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mhff.data.weights import Weights
from mhff.yamlfile import Section


class LossSettings(Section):
    """What is minimised: a function of the errors, and the weights of its terms."""

    kind: Literal["huber", "universal", "squared"] = "huber"
    """The function of an error; see `mhff.train.loss`."""
    energy: float = Field(default=1.0, ge=0)
    """Weight of the energy per atom, per eV."""
    forces: float = Field(default=10.0, ge=0)
    """Weight of the force components, per eV/A."""
    stress: float = Field(default=10.0, ge=0)
    """Weight of the stress components, per eV/A^3."""
    delta: float = Field(default=0.01, gt=0)
    """Error at which quadratic becomes linear, in the unit of each quantity."""


class OwnWeights(Section):
    """Weights of the terms for one head's structures, where they differ from the section `loss`."""

    energy: float | None = Field(default=None, ge=0)
    forces: float | None = Field(default=None, ge=0)
    stress: float | None = Field(default=None, ge=0)

    def over(self, loss: LossSettings) -> Weights:
        """These weights, and those of the section `loss` in place of the ones left out."""
        terms = {term: getattr(self, term) for term in Weights._fields}
        return Weights(
            **{
                term: getattr(loss, term) if value is None else value
                for term, value in terms.items()
            }
        )
