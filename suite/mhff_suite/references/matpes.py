"""Reads the elemental references of MatPES, as matcalc ships them."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ase import Atoms

from mhff.files import read_file

Functional = Literal["PBE", "r2SCAN"]


@dataclass(frozen=True)
class Element:
    """The stable crystal of an element and its energy."""

    symbol: str
    atoms: Atoms
    cohesive_energy: float
    """Energy minus that of the isolated atom, eV per atom, negative."""


def elements(folder: Path, functional: Functional) -> list[Element]:
    """The stable crystals of all elements."""
    content = gzip.decompress(read_file(folder / f"MatPES-{functional}-Element-Refs.json.gz"))
    entries: dict[str, dict[str, Any]] = json.loads(content)
    return [
        Element(
            symbol,
            structure(entry["structure"]),
            float(entry["energy_per_atom"] - entry["energy_atomic"]),
        )
        for symbol, entry in entries.items()
    ]


def structure(entry: dict[str, Any]) -> Atoms:
    """A structure as pymatgen writes it."""
    sites = entry["sites"]
    return Atoms(
        [site["species"][0]["element"] for site in sites],
        scaled_positions=[site["abc"] for site in sites],
        cell=entry["lattice"]["matrix"],
        pbc=True,
    )
