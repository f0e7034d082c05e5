"""Levels of theory, dispersion, domains, licence and citation of published models.

Their files lack these.

A model is recognised by the names of all its heads and its shape, never by less. The levels of
theory are those of the data sets and the publication; `--head-info` overrules them.
"""

from __future__ import annotations

from dataclasses import dataclass

from mhff.heads import Head
from mhff.model.config import ModelConfig


@dataclass(frozen=True)
class Published:
    """A published model: how to recognise it, and its heads."""

    name: str
    n_elements: int
    n_channels: int
    r_max: float
    heads: tuple[Head, ...]

    def is_this(self, config: ModelConfig) -> bool:
        """Whether an architecture has this model's heads, in their order, and its shape."""
        shape = (len(config.elements), config.n_channels, round(config.r_max, 5))
        names = tuple(head.name for head in self.heads)
        return names == config.heads and shape == (self.n_elements, self.n_channels, self.r_max)


def _mh1(name: str, level_of_theory: str, domain: str, *, dispersion: bool) -> Head:
    return Head(
        name=name,
        level_of_theory=level_of_theory,
        dispersion=dispersion,
        domain=domain,
        licence="ASL (Academic Software License: no commercial use)",
        citation="I. Batatia et al., arXiv:2510.25380",
    )


MACE_MH_1 = Published(
    name="mace-mh-1",
    n_elements=89,
    n_channels=512,
    r_max=6.0,
    heads=(
        _mh1(
            "matpes_r2scan",
            "r2SCAN (MatPES)",
            "inorganic crystals, off equilibrium too",
            dispersion=False,
        ),
        _mh1(
            "mp_pbe_refit_add",
            "PBE+U (MPtrj, Materials Project settings)",
            "inorganic crystals",
            dispersion=False,
        ),
        _mh1(
            "spice_wB97M",
            "wB97M-D3(BJ)/def2-TZVPPD (SPICE)",
            "organic molecules, drug-like molecules, dimers",
            dispersion=True,
        ),
        _mh1(
            "oc20_usemppbe",
            "PBE by its name (the OC20 data set itself is RPBE)",
            "molecules on metal and alloy surfaces",
            dispersion=False,
        ),
        _mh1(
            "omol",
            "wB97M-V/def2-TZVPD (OMol25)",
            "molecules, ions, metal complexes, electrolytes",
            dispersion=True,
        ),
        _mh1(
            "omat_pbe",
            "PBE+U (OMat24)",
            "inorganic crystals, off equilibrium too; the general-purpose head",
            dispersion=False,
        ),
    ),
)

PUBLISHED = (MACE_MH_1,)


def recognise(config: ModelConfig) -> Published | None:
    """The published model of an architecture, or None."""
    return next((model for model in PUBLISHED if model.is_this(config)), None)
