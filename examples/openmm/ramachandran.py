"""A Ramachandran plot, for the examples."""

import mdtraj
import numpy as np
from matplotlib.axes import Axes


def draw(axes: Axes, trajectory: mdtraj.Trajectory) -> None:
    """Draw the dihedrals phi and psi of each frame, coloured by time."""
    phi = np.degrees(mdtraj.compute_phi(trajectory)[1]).ravel()
    psi = np.degrees(mdtraj.compute_psi(trajectory)[1]).ravel()
    points = axes.scatter(phi, psi, c=trajectory.time, s=5, lw=0)
    axes.figure.colorbar(points, ax=axes, label="time / ps")
    ticks = range(-180, 181, 60)
    axes.set(xlim=(-180, 180), ylim=(-180, 180), xticks=ticks, yticks=ticks, aspect="equal")
    axes.set(xlabel="φ / degrees", ylabel="ψ / degrees")
