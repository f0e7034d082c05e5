"""Four waters on the path from one level of theory to another: forward, backward, by windows."""

import argparse

import matplotlib.pyplot as plt
import numpy as np
from cluster import TEMPERATURE, water_cluster
from openmm import unit

from mhff_openmm import HeadEnergyReporter, energy_derivative, reweight

START, END = "molecules", "surfaces"
WINDOWS = np.linspace(0, 1, 9)
N_UPDATES = 200
"""Number of times that lambda changes along the path."""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=10_000, help="for each way; 0.5 fs each")
steps = parser.parse_args().steps


def slope(simulation):
    """dE/dlambda, kJ/mol."""
    derivative = energy_derivative(simulation.context, "mhff_lambda")
    return derivative.value_in_unit(unit.kilojoule_per_mole)


def travel(simulation, fractions):
    """Slopes along the path, kJ/mol; the work is their integral over lambda."""
    slopes = []
    for fraction in fractions:
        simulation.context.setParameter("mhff_lambda", fraction)
        simulation.step(max(1, steps // N_UPDATES))
        slopes.append(slope(simulation))
    return np.array(slopes)


def sample_windows(simulation):
    """Head energies at fixed values of lambda; the first fifth of each window is left out."""
    reporter = HeadEnergyReporter("windows.csv", 10)
    for fraction in WINDOWS:
        simulation.context.setParameter("mhff_lambda", fraction)
        simulation.step(steps // 20)
        simulation.reporters.append(reporter)
        simulation.step(steps // 4)
        simulation.reporters.clear()
    return reporter.samples


simulation = water_cluster(4, path=(START, END))
offset = slope(simulation)  # at the minimum: the difference of the isolated atoms' energies, mostly
simulation.step(steps // 10)
fractions = np.linspace(0, 1, N_UPDATES)
forward = travel(simulation, fractions) - offset
simulation.step(steps // 10)
backward = travel(simulation, fractions[::-1])[::-1] - offset
samples = sample_windows(simulation)

works = [np.trapezoid(slopes, fractions) for slopes in (forward, backward)]
difference = reweight(samples, TEMPERATURE, [START, END]).free_energy_difference(START, END)
free_energy = difference.value.value_in_unit(unit.kilojoule_per_mole) - offset
error = difference.error.value_in_unit(unit.kilojoule_per_mole)
print(f"from {START} to {END}, relative to the minimum of the energy, kJ/mol")
print(f"work forward       {works[0]:8.2f}")
print(f"work backward      {works[1]:8.2f}")
print(f"hysteresis         {works[0] - works[1]:8.2f}")
print(f"windows with MBAR  {free_energy:8.2f} ± {error:.2f}")

columns = [samples.heads.index(head) for head in (START, END)]
slopes = samples.energies[:, columns[1]] - samples.energies[:, columns[0]] - offset
at = samples.weights[:, columns[1]]
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
axes.plot(fractions, forward, lw=0.8, label=f"forward, work {works[0]:.1f} kJ/mol")
axes.plot(fractions, backward, lw=0.8, label=f"backward, work {works[1]:.1f} kJ/mol")
means = [slopes[at == fraction].mean() for fraction in WINDOWS]
spreads = [slopes[at == fraction].std() for fraction in WINDOWS]
label = f"windows, MBAR {free_energy:.1f} ± {error:.1f} kJ/mol"
axes.errorbar(WINDOWS, means, spreads, fmt="ko", capsize=3, label=label)
axes.set(xlabel="λ", ylabel="dE/dλ / (kJ/mol)", title=f"4 waters from {START} to {END}")
axes.legend(frameon=False)
figure.savefig("theory-path.png", dpi=150)
