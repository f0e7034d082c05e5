"""Phonons of MgO and other crystals, from the displaced supercells that phonopy ships."""

from __future__ import annotations

import numpy as np

from mhff.errors import shortened
from mhff_suite.data import PHONOPY
from mhff_suite.errors import curves, law, line, mean_absolute_error, parity, share
from mhff_suite.outcome import Curves, Drawing, Outcome, Value
from mhff_suite.physics.phonons import Phonons, check_phonopy, forces_of, load, solve
from mhff_suite.protocol import (
    GENERALISED_GRADIENT,
    Domain,
    LeftOutError,
    Reference,
    Setting,
    Task,
)

CRYSTALS = {
    "MgO": ("Mg", "O"),
    "NaCl": ("Na", "Cl"),
    "MgB2": ("Mg", "B"),
    "TiO2-anatase": ("Ti", "O"),
    "ZnO": ("Zn", "O"),
}
"""Examples of phonopy whose forces are of PBE, and their elements."""
IMAGINARY = -0.1
"""THz; larger ones are rounding about zero."""
CUBIC = ("MgO", "NaCl")
"""Crystals whose bands are drawn: the path is that of their lattice."""


def bands(name: str, own: Phonons, expected: Phonons) -> Curves:
    """Bands along the path, references dashed."""
    lines = [
        line("reference", expected.distances, band, is_reference=True) for band in expected.bands.T
    ]
    lines += [line("head", own.distances, band) for band in own.bands.T]
    drawing = curves(f"Phonons of {name}", "", "frequency, THz", lines)
    return drawing.model_copy(update={"ticks": expected.ticks})


def density(name: str, own: Phonons, expected: Phonons) -> Curves:
    """Densities of states, the reference dashed."""
    lines = [
        line("reference", *expected.density, is_reference=True),
        line("head", *own.density),
    ]
    return curves(f"Phonon density of {name}", "frequency, THz", "states, 1/THz", lines)


def run(setting: Setting) -> Outcome:
    """Errors of forces, frequencies and heat capacities against phonopy with the DFT forces."""
    check_phonopy()
    folder = setting.folder(PHONOPY)
    able = [name for name, elements in CRYSTALS.items() if setting.knows(*elements)]
    if not able:
        raise LeftOutError("the head does not know the elements of any crystal")
    able = able[:1] if setting.quick else able
    pairs = []
    forces: list[tuple[np.ndarray, np.ndarray]] = []
    for name in able:
        phonon = load(folder.parent / name)
        reference_forces = np.array(phonon.forces)
        own_forces = forces_of(setting.potential, phonon)
        forces.append((reference_forces, own_forces))
        expected = solve(phonon, reference_forces)
        pairs.append((name, solve(phonon, own_forces), expected))
    drawings: list[Drawing] = [_parity(forces)]
    for name, own, expected in pairs:
        if name in CUBIC:
            drawings.append(bands(name, own, expected))
        drawings.append(density(name, own, expected))
    return Outcome(values=_values(pairs, forces), drawings=tuple(drawings))


def _parity(forces: list[tuple[np.ndarray, np.ndarray]]) -> Drawing:
    reference, own = (np.concatenate([each[i].ravel() for each in forces]) for i in (0, 1))
    large = np.abs(reference) > 1e-3
    return parity("Forces on displaced atoms", "eV/A", (), reference[large], own[large])


def _values(
    pairs: list[tuple[str, Phonons, Phonons]], forces: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[Value, ...]:
    frequencies = np.concatenate([(own.mesh - expected.mesh).ravel() for _, own, expected in pairs])
    heat = np.concatenate(
        [100 * (own.heat_capacities / expected.heat_capacities - 1) for _, own, expected in pairs]
    )
    off = np.concatenate([(own - reference).ravel() for reference, own in forces])
    soft = [name for name, own, _ in pairs if own.mesh.min() < IMAGINARY]
    zero = np.zeros(len(frequencies))
    return (
        mean_absolute_error("frequency", "THz", zero, frequencies, 0.2),
        mean_absolute_error("heat capacity", "%", np.zeros(len(heat)), heat, 1.0),
        law(
            "force on displaced atoms RMSE",
            float(np.sqrt((off**2).mean())),
            "eV/A",
            0.005,
            "",
        ),
        share(
            "crystals with imaginary phonons",
            soft,
            len(pairs),
            f"imaginary frequencies: {shortened(soft)} are not stable at the reference's volume",
        ),
    )


TASK = Task(
    name="phonons",
    title="Phonons of MgO and other crystals",
    domain=Domain.CRYSTALS,
    reference=Reference(
        "PBE, PAW (VASP)",
        "A. Togo, J. Phys. Soc. Jpn. 92, 012001 (2023); force sets of phonopy's examples, in its "
        "source distribution",
        "BSD-3-Clause (phonopy)",
        GENERALISED_GRADIENT,
    ),
    computes="Forces on phonopy's displaced supercells in the reference's cell; frequencies on a "
    "mesh, without the long-range correction on either side.",
    run=run,
    cost=3.0,
)
