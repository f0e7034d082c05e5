"""Averages at one level of theory from a run at another, from the samples of in.reweighting."""

import numpy as np
from ase.units import kB

TEMPERATURE = 300
"""Temperature of the run, K."""

_, materials, surfaces, msd = np.loadtxt("samples.txt").T
difference = (surfaces - materials) / (kB * TEMPERATURE)
weights = np.exp(difference.min() - difference)
shift = kB * TEMPERATURE * (difference.min() - np.log(weights.mean()))
weights /= weights.sum()

print(f"mean square displacement  materials {msd.mean():.6f} A^2")
print(f"                          surfaces  {weights @ msd:.6f} A^2")
print(f"free energy               surfaces - materials {shift:.6f} eV")
print(f"effective samples         {1 / (weights @ weights):.1f} of {len(weights)}")
