"""mhff as a potential of openmm-ml: options, and systems that are mhff in part (ML/MM)."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import openmm
from openmm import app

from mhff.errors import MHFFError, listing

try:
    from openmmml.embeddings.mechanicalembedding import MechanicalEmbedding
    from openmmml.mlpotential import MLPotentialImpl
except ImportError as error:
    raise MHFFError(
        f"MLPotential('mhff') needs openmm-ml 1.8 or newer ({error}); "
        "pip install --upgrade openmmml"
    ) from error

from mhff_openmm.checks import check_sizes, selected_particles
from mhff_openmm.force import add_mhff_force
from mhff_openmm.interpolation import make_interpolating
from mhff_openmm.region import check_bonds, check_region

MODEL = "modelPath"
"""openmm-ml's usual name of the keyword that names the model."""
OPTIONS = (
    MODEL,
    *(
        name
        for name in inspect.signature(add_mhff_force).parameters
        if name not in ("system", "topology", "model", "atoms")
    ),
)
"""Keywords of `MLPotential`, `createSystem` and `createMixedSystem`."""
ELSEWHERE = {"precision": "dtype", "multiplicity": "spin", "model": MODEL, "model_path": MODEL}
"""What other potentials of openmm-ml call an option, and mhff's name of it."""


class MHFFPotential(MLPotentialImpl):
    """The potential `mhff` of openmm-ml.

    `MLPotential("mhff", modelPath=..., **options)` sets defaults, which `createSystem` and
    `createMixedSystem` override. The options are those of `add_mhff_force`; `name`, which
    `MLPotential` itself uses, can be given to the latter two only.

    A mixed system is periodic if the MM system is. It is mechanically embedded: the model describes
    the interactions among the ML atoms, the MM force field all others.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Raises MHFFError for an unknown option, and without `modelPath`."""
        self.options = _known(options)
        if self.options.get(MODEL) is None:
            raise MHFFError(
                f"MLPotential('mhff') does not know which model to use; give {MODEL}=, the path of "
                f"a model file or of an artefact, or {MODEL}='mini' for the bundled model"
            )

    def getMLLongRange(self) -> bool:  # noqa: N802 - openmm-ml's name, as are the next ones
        """A model sees no farther than its cutoff, whatever the box."""
        return False

    def getSupportedEmbeddings(self) -> list[str]:  # noqa: N802
        """The embedding that `createMixedSystem` checks before openmm-ml does it."""
        return ["mechanical"]

    def addForces(  # noqa: N802
        self,
        topology: app.Topology,
        system: openmm.System,
        atoms: Iterable[int] | None,
        group: int,
        /,
        **options: Any,
    ) -> None:
        """Add the force to a system; other embeddings may ask with one that has no particles.

        Raises MHFFError for an unknown option, ML atoms that are bonded to others, and whatever
        `add_mhff_force` refuses.
        """
        chosen = self.options | _known(options)
        model = chosen.pop(MODEL)
        if atoms is not None:
            atoms = selected_particles(system, topology, atoms)
            check_bonds(topology, atoms)
        force = add_mhff_force(system, topology, model, atoms=atoms, **chosen)
        force.setForceGroup(group)

    def createMixedSystem(  # noqa: N802
        self,
        topology: app.Topology,
        system: openmm.System,
        atoms: Iterable[int],
        group: int,
        interpolate: bool,
        embedding: str,
        /,
        **options: Any,
    ) -> openmm.System | dict[str, Any]:
        """A system in which mhff describes the interactions among `atoms`.

        Raises MHFFError for what `addForces` refuses, for virtual sites and polarisable force
        fields of ML atoms, and for nonbonded interactions that cannot be interpolated.
        """
        wants_info = options.pop("returnInfo", False)
        chosen = self.options | _known(options)
        check_sizes(system, topology)
        region = selected_particles(system, topology, atoms)
        check_region(system, topology, region)
        if chosen.get("periodic") is None:
            chosen["periodic"] = system.usesPeriodicBoundaryConditions()
        mixed = MechanicalEmbedding().createMixedSystem(
            self, _with_elements(topology), system, region, group, interpolate=False, **chosen
        )
        if interpolate:
            make_interpolating(mixed, system, topology, region, group)
        everything = list(range(topology.getNumAtoms()))
        info = {"system": mixed, "topology": topology, "oldToNew": everything}
        return info if wants_info else mixed


def _with_elements(topology: app.Topology) -> app.Topology:
    """The topology, or a copy in which every particle has an element.

    openmm-ml reads the elements of all particles, and virtual sites have none.
    """
    if all(atom.element is not None for atom in topology.atoms()):
        return topology
    complete = copy.deepcopy(topology)
    for atom in complete.atoms():
        atom.element = atom.element or app.element.hydrogen
    return complete


def _known(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options; raises MHFFError for one that mhff does not have."""
    for name in options:
        if name not in OPTIONS:
            near = [ELSEWHERE[name]] if name in ELSEWHERE else get_close_matches(name, OPTIONS, 1)
            hint = "".join(f" (did you mean '{each}'?)" for each in near)
            raise MHFFError(
                f"unknown option '{name}'{hint}: MLPotential('mhff') takes {listing(OPTIONS)}"
            )
    return dict(options)
