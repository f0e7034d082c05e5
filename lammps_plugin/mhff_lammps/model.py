"""The class that LAMMPS loads and calls.

A file for LAMMPS is a pickle of one `MHFFModel`, so the class and its module must keep their names.
The pickled state is a format version, the content of an artefact and the checksum of that content.
"""

from __future__ import annotations

from typing import Any

from mhff.errors import MHFFError
from mhff.files import sha256
from mhff_deploy.artefact.content import read_manifest
from mhff_lammps.instance import Instances
from mhff_lammps.labels import Labels
from mhff_lammps.ranks import Ranks
from mhff_lammps.reporting import reported

FORMAT_VERSION = 1
FILE = "the file given to pair_style mliap unified"
"""Stands for the file's name, which LAMMPS does not pass on."""


class MHFFModel:
    """A compiled program with the interface of `lammps.mliap.MLIAPUnified`."""

    ndescriptors = 1
    nparams = 1
    interface: Any = None
    """Set by LAMMPS."""
    lammps: Any = None
    """The `lammps.lammps` object of a Python driver (`load_model`); None: it is found."""
    adapter: Any = None
    """The `mhff_lammps.adapter.Adapter` from the first step on."""

    def __init__(self, artefact: bytes) -> None:
        """`artefact`: content of an artefact; raises MHFFError if it is damaged."""
        self._artefact = artefact
        can = read_manifest(artefact, FILE).capabilities
        self.labels = Labels(can)
        self.element_types = self.labels.names
        self.rcutfac = 0.5 * can.r_max
        """Half the cutoff of every pair, A: LAMMPS adds this value for each of the two atoms."""
        self._instances = Instances()
        self._ranks = Ranks()

    def __getstate__(self) -> dict[str, Any]:
        """The content of the file."""
        checksum = sha256(self._artefact)
        return {"format_version": FORMAT_VERSION, "sha256": checksum, "artefact": self._artefact}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Check the content of a file, and print the labels that `pair_coeff` may use."""
        with reported(Ranks.as_started):
            if state.get("format_version") != FORMAT_VERSION:
                raise MHFFError(
                    f"{FILE} has format version {state.get('format_version')}, but this mhff reads "
                    f"version {FORMAT_VERSION}; compile it again with this mhff"
                )
            if sha256(state["artefact"]) != state["sha256"]:
                raise MHFFError(
                    f"{FILE} is damaged: its checksum does not match its content; compile it again"
                )
            MHFFModel.__init__(self, state["artefact"])
        if Ranks.as_started().rank == 0:
            print(self.labels.help(), flush=True)

    def compute_descriptors(self, data: Any) -> None:
        """Do nothing: `compute_forces` does everything."""

    def compute_gradients(self, data: Any) -> None:
        """Do nothing: `compute_forces` does everything."""

    def compute_forces(self, data: Any) -> None:
        """Write energies and forces of one step into `data`; the first call loads the program."""
        with reported(lambda: self._ranks):
            lammps = self.lammps or self._instances.find(data)
            if self.adapter is None:
                self._start(lammps, data)
            with self._ranks.aborting():
                self.adapter.compute(data, lammps)

    def _start(self, lammps: Any, data: Any) -> None:
        """Load the program and prepare it for the elements that there are; collective."""
        import numpy as np
        import torch

        from mhff_deploy.artefact.runtime import load_artefact
        from mhff_lammps.adapter import Adapter
        from mhff_lammps.coupling import read_arrays
        from mhff_lammps.devices import share_machine

        self._ranks = Ranks.of(lammps)
        share_machine(self._ranks, data)
        labels = read_arrays(data).labels.cpu()
        used = self.labels.species(labels[labels >= 0].unique().to(torch.int64))
        species = np.unique(self._ranks.of_all(used.numpy()))
        with self._ranks.together():
            evaluator = load_artefact(self._artefact, FILE)
            # for the elements of all ranks, because atoms move from one to another
            evaluator.prepare([self.labels.elements[index] for index in species])
        self.adapter = Adapter(evaluator, self.labels, self._ranks)
