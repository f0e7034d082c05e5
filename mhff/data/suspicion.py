"""Labels that are probably wrong: absurd forces, energies far from the E0s, wrong stresses."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from ase.units import GPa

from mhff.data.reading import Composition, LabelledStructure
from mhff.data.statistics import interaction_energy_per_atom

MAX_FORCE = 100.0
"""Largest plausible force on an atom, eV/A."""
MAX_INTERACTION = 20.0
"""Largest plausible distance of the energy per atom from the mean of the E0s, eV."""
MIN_PAIRS = 10
"""Pairs of similar structures that a judgement on stresses needs."""
MAX_OF_A_COMPOSITION = 200
MAX_JUDGED = 5000
"""Structures among which pairs are sought; the first ones, so that large sets are judged soon."""
MIN_CORRELATION = 0.8
"""Correlation of stress work and energies above which their ratio has a meaning."""
MIN_STRAIN = 5e-3
MAX_STRAIN = 0.2
"""Strains between similar structures that tell about stresses."""
MAX_DISPLACEMENT = 0.3
"""Largest displacement of an atom between similar structures, A."""
FACTORS = {
    "as they should be": 1.0,
    "of the other sign": -1.0,
    "in GPa, not eV/A^3": GPa,
    "in GPa and of the other sign": -GPa,
    "in kbar, not eV/A^3": GPa / 10,
    "in kbar and of the other sign": -GPa / 10,
}
"""Ratio of the energies' change to the work of the labelled stresses, by what is wrong."""
TOLERANCE = 0.2
"""Relative tolerance on these ratios."""


def suspicions(
    structures: Sequence[LabelledStructure], E0s: Mapping[str, float]
) -> list[tuple[LabelledStructure, str]]:
    """Structures whose energy or forces are probably wrong, each with a sentence."""
    return [(item, sentence) for item in structures for sentence in _of_one(item, E0s)]


def _of_one(structure: LabelledStructure, E0s: Mapping[str, float]) -> Iterable[str]:
    interaction = interaction_energy_per_atom(structure, E0s)
    if interaction is not None and abs(interaction) > MAX_INTERACTION:
        yield f"{structure.place}: energy {interaction:.1f} eV/atom from the sum of the E0s"
    if (structure.largest_force or 0.0) > MAX_FORCE:
        yield f"{structure.place}: force of {structure.largest_force:.1f} eV/A on an atom"


def stress_suspicion(structures: Sequence[LabelledStructure]) -> str | None:
    """A sentence if the stresses of a head contradict its energies.

    Compares, for pairs of similar structures, the change of the energy that forces leave with the
    work of the mean stress on the strain; None if there are too few pairs to judge.
    """
    similar = [(pair, work) for pair in _similar(structures) if (work := _work(*pair))]
    if len(similar) < MIN_PAIRS:
        return None
    energy, stress = np.array([work for _, work in similar]).T
    norms = np.linalg.norm(energy) * np.linalg.norm(stress)
    if not norms:
        return None
    correlation = abs(energy @ stress) / norms
    ratio = float(energy @ stress / (stress @ stress))
    if correlation > MIN_CORRELATION:
        for words, factor in FACTORS.items():
            if abs(ratio / factor - 1) < TOLERANCE:
                wrong = f"the stresses seem to be {words} (from {len(similar)} pairs of structures)"
                return None if factor == 1.0 else wrong
    first, second = similar[int(np.abs(energy - stress).argmax())][0]
    return (
        f"the stresses contradict the energies: these change by {ratio:.3g} times the work of the "
        f"stress, with a correlation of {correlation:.2f} ({len(similar)} pairs of structures), "
        f"most of all between {first.place} and {second.place}"
    )


def _similar(
    structures: Sequence[LabelledStructure],
) -> Iterable[tuple[LabelledStructure, LabelledStructure]]:
    """Neighbours in volume among the periodic structures with the same atoms in the same order."""
    groups: dict[bytes, list[LabelledStructure]] = defaultdict(list)
    for item in _judged(structures):
        if item.atoms.pbc.all():
            groups[item.atoms.numbers.tobytes()].append(item)
    for group in groups.values():
        yield from pairwise(sorted(group, key=lambda item: item.atoms.get_volume()))


def _judged(structures: Sequence[LabelledStructure]) -> Iterable[LabelledStructure]:
    """Completely labelled structures, loaded: not too many of each composition or altogether."""
    labelled = (
        item
        for item in structures
        if item.has_stress and item.largest_force is not None and item.energy is not None
    )
    numbers: Counter[Composition] = Counter()
    for item in labelled:
        numbers[item.composition] += 1
        if numbers[item.composition] <= MAX_OF_A_COMPOSITION:
            yield item.load()
        if numbers.total() >= MAX_JUDGED:
            return


def _work(first: LabelledStructure, second: LabelledStructure) -> tuple[float, float] | None:
    """Change of energy less the work of the forces, and work of the stresses, both in eV.

    Trapezoidal rule; None for structures that are not similar. A strain e moves the lattice vectors
    as cell (1 + e).
    """
    cells = first.atoms.cell[:], second.atoms.cell[:]
    mean_cell = (cells[0] + cells[1]) / 2
    strain = np.linalg.solve(mean_cell, cells[1] - cells[0])
    scaled = [item.atoms.get_scaled_positions(wrap=False) for item in (first, second)]
    step = scaled[1] - scaled[0]
    moved = (step - np.rint(step)) @ mean_cell
    if np.abs(moved).max() > MAX_DISPLACEMENT:
        return None
    if not MIN_STRAIN < np.abs(strain).max() < MAX_STRAIN:
        return None
    ends = (first, second)
    forces = np.mean([item.forces for item in ends if item.forces is not None], axis=0)
    stress = np.mean(
        [item.stress * item.atoms.get_volume() for item in ends if item.stress is not None], axis=0
    )
    energies = [item.energy for item in ends if item.energy is not None]
    energy = energies[1] - energies[0] + float((forces * moved).sum())
    return energy, float((stress * strain).sum())
