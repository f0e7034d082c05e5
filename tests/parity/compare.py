"""mhff's numbers for an imported file against mace-torch's: what is compared, and relative to what.

The reference is always mace-torch in float64, the precision in which it is exact enough to judge
anything.

float64: an error is relative to the largest magnitude of the quantity in that structure. The
magnitude of an atom's energy is that of its interaction energy, without E0; the magnitude of an
energy is the sum of those over the atoms.

float32: rounding errors are in proportion to what is summed, not to what is left of it. So the
error of a force is relative to the largest sum over an atom's edges of |force along the edge|, that
of a stress to the same sum for the strain; and where a structure has far less of these than the
model's other structures (a dimer near the cutoff), to the median over those.

Not compared with mace-torch: forces and stress with Chebyshev polynomials, whose derivative it
drops.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from cases import CASES, Case
from references import references

from mhff import MHFFCalculator
from mhff.evaluator import EagerEvaluator
from mhff.interop.mace.importer import import_model
from mhff.modelfile import Model
from mhff.options import Precision

QUANTITIES = ("energy", "energies", "forces", "stress")
DTYPES = ("float64", "float32")
Numbers = dict[str, np.ndarray]


@dataclass(frozen=True)
class Deviation:
    """One quantity of one structure with one head in one precision."""

    case: str
    structure: str
    head: str
    dtype: str
    quantity: str
    error: float
    """Largest absolute difference between mhff and mace-torch in float64: eV, eV/A, eV/A^3."""
    peer_error: float
    """The same for mace-torch in this precision."""
    magnitude: float
    """Largest magnitude of the quantity in the structure."""
    scale: float
    """What errors are relative to."""

    @property
    def relative(self) -> float:
        """Relative error; 0 without a reference, as for the forces on isolated atoms."""
        return self.error / self.scale if self.scale else 0.0

    @property
    def peer_relative(self) -> float:
        """Relative error of mace-torch in this precision."""
        return self.peer_error / self.scale if self.scale else 0.0


@lru_cache(maxsize=4)
def imported(case: str) -> Model:
    """The model of a case."""
    return import_model(references().file(case)).model


def mhff_numbers(evaluator: EagerEvaluator, atoms: Atoms, head: str) -> Numbers:
    """What the ASE calculator gives."""
    calculator = MHFFCalculator(evaluator, head=head)
    calculator.calculate(atoms)
    found = {
        name: np.asarray(calculator.results[name])
        for name in QUANTITIES
        if name in calculator.results
    }
    if "stress" in found:
        found["stress"] = voigt_6_to_full_3x3_stress(found["stress"])
    return found


def peer_numbers(numbers: Numbers, dtype: str, structure: str, head: int) -> Numbers:
    """What mace-torch gives, under the names of the calculator."""
    names = {"energy": "energy", "node_energy": "energies", "forces": "forces", "stress": "stress"}
    found = {
        new: numbers[f"{dtype}/{structure}/{old}"][head]
        for old, new in names.items()
        if old != "stress"
    }
    stress = numbers.get(f"{dtype}/{structure}/stress")
    return found if stress is None else found | {"stress": stress[head]}


def magnitudes(reference: Numbers, e0s: np.ndarray) -> dict[str, float]:
    """Largest magnitudes of each quantity; `e0s [n_atoms]`."""
    interaction = np.abs(reference["energies"] - e0s)
    largest = {
        name: float(np.abs(reference[name]).max())
        for name in ("forces", "stress")
        if name in reference
    }
    return largest | {"energy": float(interaction.sum()), "energies": float(interaction.max())}


def rounding_scales(
    numbers: Numbers, case: Case, head: int, e0s: np.ndarray
) -> dict[str, dict[str, float]]:
    """By structure and quantity, what errors in float32 are relative to; `e0s [n_elements]`."""
    scales = {}
    for name, atoms in case.structures().items():
        scale = magnitudes(peer_numbers(numbers, "float64", name, head), e0s[_species(case, atoms)])
        if "stress" in scale:
            scale["stress"] = float(numbers[f"float64/{name}/strain"][head]) / atoms.cell.volume
        scales[name] = scale | {"forces": float(numbers[f"float64/{name}/pull"][head])}
    for quantity in QUANTITIES:
        typical = float(
            np.median([scale[quantity] for scale in scales.values() if scale.get(quantity)])
        )
        for scale in scales.values():
            if scale.get(quantity):
                scale[quantity] = max(scale[quantity], typical)
    return scales


def _species(case: Case, atoms: Atoms) -> list[int]:
    return [case.options["elements"].index(symbol) for symbol in atoms.get_chemical_symbols()]


@lru_cache
def deviations(name: str) -> tuple[Deviation, ...]:
    """All deviations of a case."""
    return measured(name, CASES[name], references().numbers(name), imported(name))


def measured(
    name: str, case: Case, numbers: Numbers, model: Model, dtypes: tuple[str, ...] = DTYPES
) -> tuple[Deviation, ...]:
    """All deviations of a model from mace-torch's `numbers` for it."""
    found = []
    for dtype in dtypes:
        evaluator = EagerEvaluator(model, precision=Precision(dtype))
        for index, head in enumerate(evaluator.capabilities.heads.names):
            e0s = numbers["float64/E0s"][index]
            rounding = rounding_scales(numbers, case, index, e0s)
            for structure, atoms in case.structures().items():
                ours = mhff_numbers(evaluator, atoms, head)
                theirs = peer_numbers(numbers, dtype, structure, index)
                reference = peer_numbers(numbers, "float64", structure, index)
                size = magnitudes(reference, e0s[_species(case, atoms)])
                scale = size if dtype == "float64" else rounding[structure]
                for quantity in compared(case, atoms):
                    error = float(np.abs(ours[quantity] - reference[quantity]).max())
                    peer_error = float(np.abs(theirs[quantity] - reference[quantity]).max())
                    sizes = size[quantity], scale[quantity]
                    found.append(
                        Deviation(name, structure, head, dtype, quantity, error, peer_error, *sizes)
                    )
    return tuple(found)


def compared(case: Case, atoms: Atoms) -> tuple[str, ...]:
    """Quantities for which mace-torch is a reference."""
    if case.options["radial"] == "chebyshev":
        return ("energy", "energies")
    return QUANTITIES if atoms.cell.rank == 3 else ("energy", "energies", "forces")
