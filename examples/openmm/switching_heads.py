"""Six waters whose level of theory changes while they run, and the energies of all heads."""

import argparse

import matplotlib.pyplot as plt
import numpy as np
from cluster import water_cluster

from mhff_openmm import HeadEnergyReporter

ORDER = ("molecules", "materials", "surfaces", "molecules")

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=4000, help="with each head; 0.5 fs each")
steps = parser.parse_args().steps

simulation = water_cluster(6, head=ORDER[0])
simulation.step(steps // 4)
reporter = HeadEnergyReporter("switching.csv", max(1, steps // 200))
simulation.reporters.append(reporter)
for head in ORDER:
    for other in ORDER:
        simulation.context.setParameter(f"mhff_head_{other}", float(other == head))
    simulation.step(steps)

samples = reporter.samples
relative = samples.energies - samples.energies[0]
for head, part in zip(ORDER, np.array_split(relative, len(ORDER)), strict=True):
    means = zip(samples.heads, part.mean(axis=0), strict=True)
    listed = ", ".join(f"{name} {energy:.1f}" for name, energy in means)
    print(f"with {head}: mean energies {listed} kJ/mol")

figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
for column, head in enumerate(samples.heads):
    (line,) = axes.plot(samples.times, relative[:, column], lw=0.8, label=head)
    drives = samples.weights[:, column] == 1
    bottom = relative.min() - 30
    axes.fill_between(
        samples.times, bottom, bottom + 20, where=drives, step="pre", color=line.get_color()
    )
axes.set(xlabel="time / ps", ylabel="energy of each head, from the first frame / (kJ/mol)")
axes.set_title("6 waters at 300 K; the bar shows the head that drives them")
axes.legend(frameon=False)
figure.savefig("switching-heads.png", dpi=150)
