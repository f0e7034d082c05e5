"""The core's parts of `mhff demo`, all in ASE: an equation of state, a relaxation, all heads.

A part is a function `(out, say) -> Panel`, as an engine's demo is (`mhff.engines.Engine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.build import add_adsorbate, bulk, molecule, surface
from ase.eos import EquationOfState
from ase.io import write
from ase.optimize import BFGS
from matplotlib.axes import Axes

from mhff.calculator import MHFFCalculator
from mhff.engines import Panel
from mhff.filekinds import Say

MODEL = "mini"
COLOURS = {"materials": "#3b6ea5", "surfaces": "#c8553d", "molecules": "#4f8a5b"}
ATOM_COLOURS = {"Mg": "#9db8a5", "O": "#c8553d", "C": "#444444"}
LATTICE_CONSTANTS = np.linspace(4.0, 4.5, 11)
"""Lattice constants of MgO, A."""
HEIGHTS = np.linspace(1.8, 5.5, 38)
"""Heights of the carbon of CO above the surface, A."""
MAX_FORCE = 0.02
"""Largest force of a relaxed structure, eV/A."""


def equation_of_state(out: Path, say: Say) -> Panel:
    """Energy of MgO against its lattice constant with the `materials` head, and the fit."""
    calculator = MHFFCalculator(MODEL, head="materials")
    crystals = [bulk("MgO", "rocksalt", a=a) for a in LATTICE_CONSTANTS]
    for crystal in crystals:
        crystal.calc = calculator
    energies = np.array([crystal.get_potential_energy() for crystal in crystals])
    volumes = np.array([crystal.get_volume() for crystal in crystals])
    volume, energy, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    a0 = (4 * volume) ** (1 / 3)
    b0 = modulus / units.GPa
    write(out / "mgo-eos.extxyz", crystals)
    say(
        f"equation of state of MgO, head materials (PBE): a = {a0:.3f} A, bulk modulus {b0:.0f} GPa"
    )

    def draw(axes: Axes) -> None:
        axes.plot(LATTICE_CONSTANTS, energies - energy, "o-", color=COLOURS["materials"], ms=4)
        axes.axvline(a0, color="0.6", lw=0.8, ls="--")
        axes.annotate(f"a = {a0:.3f} Å\nB = {b0:.0f} GPa", (0.58, 0.75), xycoords="axes fraction")
        axes.set(xlabel="lattice constant of MgO / Å", ylabel="energy / eV per formula unit")

    return Panel("MgO crystal: head materials, ASE", draw)


def co_on_mgo(height: float = 2.3) -> Atoms:
    """CO, carbon down, above a magnesium atom of MgO(100)."""
    slab = surface(bulk("MgO", "rocksalt", a=4.25, cubic=True), (1, 0, 0), 2, vacuum=8.0)
    top = max((atom for atom in slab if atom.symbol == "Mg"), key=lambda atom: atom.z)
    carbon_monoxide = molecule("CO")  # oxygen first, carbon below it
    add_adsorbate(slab, carbon_monoxide, height, tuple(top.position[:2]), mol_index=1)
    slab.info.clear()  # ASE's notes about the adsorbate are not needed
    return slab


def relaxation(out: Path, say: Say) -> Panel:
    """CO on MgO(100), relaxed with the `surfaces` head."""
    atoms = co_on_mgo()
    atoms.calc = MHFFCalculator(MODEL, head="surfaces")
    start = atoms.get_potential_energy()
    optimiser = BFGS(atoms, trajectory=str(out / "co-on-mgo.traj"), logfile=None)
    converged = optimiser.run(fmax=MAX_FORCE, steps=200)
    carbon = next(atom for atom in atoms if atom.symbol == "C")
    below = max(atom.z for atom in atoms if atom.symbol == "Mg")
    write(out / "co-on-mgo.extxyz", atoms)
    state = "relaxed" if converged else f"not converged after {optimiser.nsteps} steps"
    say(
        f"CO on MgO(100), head surfaces (RPBE): {state} in {optimiser.nsteps} steps by "
        f"{atoms.get_potential_energy() - start:.3f} eV; carbon {carbon.z - below:.2f} A above the "
        "surface"
    )
    return Panel(
        "CO on MgO(100), relaxed: head surfaces, ASE", lambda axes: _draw_atoms(axes, atoms)
    )


def _draw_atoms(axes: Axes, atoms: Atoms) -> None:
    from ase.visualize.plot import plot_atoms

    wide = atoms.repeat((2, 2, 1))
    colours = [ATOM_COLOURS[symbol] for symbol in wide.get_chemical_symbols()]
    plot_atoms(wide, axes, rotation="-80x,20y", radii=0.75, colors=colours, show_unit_cell=0)
    axes.set_axis_off()


def head_comparison(out: Path, say: Say) -> Panel:
    """CO pulled off MgO(100): one structure, the energies of all heads from one evaluation each."""
    calculator = MHFFCalculator(MODEL, head="surfaces")
    names = calculator.capabilities.heads.names
    curves = np.array([_head_energies(calculator, co_on_mgo(height), names) for height in HEIGHTS])
    curves -= curves[-1]
    say("CO above MgO(100), the same structures with every head (energy against 5.5 A, eV):")
    say("  height / A  " + "".join(f"{name:>12}" for name in names))
    for index in (5, 10, 20, 30):
        say(f"  {HEIGHTS[index]:10.2f}  " + "".join(f"{energy:12.3f}" for energy in curves[index]))
    np.savetxt(
        out / "heads.csv",
        np.column_stack([HEIGHTS, curves]),
        delimiter=",",
        header="height/A," + ",".join(names),
    )

    def draw(axes: Axes) -> None:
        for name, curve in zip(names, curves.T, strict=True):
            axes.plot(HEIGHTS, curve, label=name, color=COLOURS.get(name), lw=2)
        axes.axhline(0, color="0.7", lw=0.8)
        axes.set(
            xlabel="height of C above MgO(100) / Å",
            ylabel="energy / eV",
            ylim=(min(-0.4, curves.min() - 0.1), 0.8),
        )
        axes.legend(frameon=False)

    return Panel("One structure, three levels of theory", draw)


def _head_energies(calculator: MHFFCalculator, atoms: Atoms, names: Sequence[str]) -> list[float]:
    calculator.calculate(atoms)
    return [calculator.results["head_energies"][name] for name in names]


def draw_figure(panels: Sequence[Panel], path: Path) -> Path:
    """Draw the panels, two in a row, into a PNG file."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(10, 4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    for panel, axes in zip(panels, figure.subplots(rows, 2, squeeze=False).flat, strict=False):
        axes.set_title(panel.title, fontsize=11)
        panel.draw(axes)
    figure.savefig(path, dpi=150)
    return path


PARTS = (equation_of_state, relaxation, head_comparison)
