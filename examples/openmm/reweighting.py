"""One trajectory of a water molecule, sampled between all levels of theory, reweighted to each."""

import argparse

import matplotlib.pyplot as plt
import numpy as np
from cluster import TEMPERATURE, water_cluster
from openmm import unit

from mhff_openmm import HeadEnergyReporter, reweight

HEADS = ("materials", "surfaces", "molecules")
SAMPLED = {"materials": 0.25, "surfaces": 0.25, "molecules": 0.5}
INTERVAL = 10

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=20_000, help="of each run; 0.5 fs each")
steps = parser.parse_args().steps


class BondLengths:
    """A reporter of the mean O-H length, A."""

    def __init__(self):
        self.lengths = []

    def describeNextReport(self, simulation):  # noqa: N802
        ahead = INTERVAL - simulation.currentStep % INTERVAL
        return {"steps": ahead, "periodic": False, "include": ["positions"]}

    def report(self, simulation, state):
        oxygen, *hydrogens = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)
        self.lengths.append(np.linalg.norm(hydrogens - oxygen, axis=1).mean())


def run(head):
    """Head energies and bond lengths of a run."""
    simulation = water_cluster(1, head=head)
    simulation.step(steps // 10)
    reporters = HeadEnergyReporter(None, INTERVAL), BondLengths()
    simulation.reporters.extend(reporters)
    simulation.step(steps)
    return reporters[0].samples, reporters[1].lengths


samples, lengths = run(SAMPLED)
result = reweight(samples, TEMPERATURE, observables={"O-H": lengths})
print(result)
estimates = {"reweighted": [result[head].averages["O-H"] for head in HEADS], "own run": []}
for head in HEADS:
    samples, lengths = run(head)
    own = reweight(samples, TEMPERATURE, [head], {"O-H": lengths})
    estimates["own run"].append(own[head].averages["O-H"])

figure, axes = plt.subplots(figsize=(5, 4), layout="constrained")
for shift, (label, averages) in zip((-0.08, 0.08), estimates.items(), strict=True):
    values = [average.value for average in averages]
    errors = [average.error for average in averages]
    axes.errorbar(np.arange(len(HEADS)) + shift, values, errors, fmt="o", capsize=4, label=label)
axes.set_xticks(range(len(HEADS)), HEADS)
axes.set(ylabel="mean O-H length / Å", title="Water at 300 K, reweighted from a mix of heads")
axes.legend(frameon=False)
figure.savefig("reweighting.png", dpi=150)
