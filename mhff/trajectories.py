"""Neighbours along several trajectories whose steps do not say which one they continue."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from mhff.motion import Geometry
from mhff.ops.lists import REFERENCE, ListOperators
from mhff.verlet import Edges, VerletList

MAX_TRAJECTORIES = 16
"""Number of trajectories whose lists are kept while their steps alternate."""


class VerletLists:
    """Edges along several trajectories of the same atoms, if steps do not say which one is theirs.

    Any list that holds will do. If none does, a step continues the trajectory whose latest step is
    nearest, if a list made there would hold; otherwise it begins a new one. A wrong guess costs a
    search and never an edge. Threads may share this object.
    """

    def __init__(
        self,
        r_max: float,
        skin: float,
        device: torch.device | str = "cpu",
        operators: ListOperators = REFERENCE,
    ) -> None:
        """See `VerletList`."""
        self.r_max = r_max
        self.skin = skin
        self._new_list = partial(VerletList, r_max, skin, device, operators)
        self._trajectories: tuple[_Trajectory, ...] = ()
        """The one with the latest step comes first."""
        self._lock = threading.Lock()

    def edges(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> Edges:
        """See `VerletList.edges`; the arrays are kept, and must not change afterwards."""
        trajectories = self._trajectories
        for trajectory in trajectories:
            edges = trajectory.neighbours.known_edges(positions, cell, pbc)
            if edges is not None:
                break
        else:
            trajectory = self._continued(trajectories, positions, cell, pbc)
            edges = trajectory.neighbours.edges(positions, cell, pbc)
        trajectory.latest = (positions, cell, pbc)
        if trajectories and trajectory is trajectories[0]:
            return edges
        with self._lock:
            others = [other for other in self._trajectories if other is not trajectory]
            kept = (trajectory, *others)
            self._trajectories = kept[: MAX_TRAJECTORIES if self.skin else 1]
        return edges

    def _continued(
        self,
        trajectories: Iterable[_Trajectory],
        positions: np.ndarray,
        cell: np.ndarray,
        pbc: np.ndarray,
    ) -> _Trajectory:
        """The trajectory that this step continues, or a new one."""
        nearest = self.skin
        found = None
        for trajectory in trajectories:
            motion = Geometry(*trajectory.latest).motion_to(positions, cell, pbc)
            if motion is not None and motion.skin_needed(self.r_max) <= nearest:
                nearest = motion.skin_needed(self.r_max)
                found = trajectory
        return found or _Trajectory(self._new_list(), (positions, cell, pbc))


@dataclass
class _Trajectory:
    """A list, and positions, cell and periodic directions of its latest step."""

    neighbours: VerletList
    latest: tuple[np.ndarray, np.ndarray, np.ndarray]
