"""`add_mhff_force`: a model's energy as a force of an OpenMM System."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mhff.atoms import species_indices
from mhff.errors import MHFFError, listing
from mhff.filekinds import SourceFile, read_source
from mhff.files import sha256
from mhff.heads import HeadSpec
from mhff.modelfile import BUNDLED
from mhff.opening import read_capabilities
from mhff.options import Form, parse_choice
from mhff.state import given_state
from mhff.verlet import check_skin

try:
    import openmm
    from openmm import PythonForce, app
except ImportError as error:
    raise MHFFError(
        f"mhff_openmm needs OpenMM 8.6 or newer ({error}); pip install 'mhff[openmm]'"
    ) from error

from mhff_openmm.checks import resolve_periodic, selected_particles, symbols_of
from mhff_openmm.computation import MHFFComputation
from mhff_openmm.program import Program

SKIN = 1.0
"""Of the neighbour list, A, that suits most simulations."""
DEFAULT_FORM = "aoti"


def add_mhff_force(
    system: openmm.System,
    topology: app.Topology,
    model: str | os.PathLike[str],
    head: HeadSpec | None = None,
    atoms: Iterable[int] | None = None,
    dtype: str = "float32",
    name: str = "mhff",
    device: str = "cpu",
    *,
    periodic: bool | None = None,
    skin: float = SKIN,
    form: str | None = None,
    charge: float | None = None,
    spin: float | None = None,
) -> PythonForce:
    """Add the model's energy of all atoms, or of `atoms`, to the System; gives the force that was
    added.

    The weight of each head is a global parameter `<name>_head_<head>` that a running Context can
    change with `setParameter`; weights are used as given, never normalised.

    Args:
        system: gets the force; the model describes every interaction among the chosen atoms.
        topology: the System's; elements are taken from it.
        model: a model file, `"mini"`, or an artefact of `mhff compile`.
        head: a head's name, or a mix as `{"materials": 0.5, "surfaces": 0.5}`; may be left out where there is only one,
            and for an artefact that was compiled with one.
        atoms: indices of the atoms to act on, in any order; None for all.
        dtype: "float32", or "float64", which is refused for an artefact that was compiled in float32.
        name: of the force, and the beginning of its parameters' names.
        device: of torch: "cpu" or "cuda".
        periodic: None: periodic if the topology has box vectors or the System is periodic.
        skin: of the neighbour list, A: a wider one is built less often and has more pairs to look through.
        form: what a model is compiled to, once, in the compile cache: "aoti" or "torchscript"; "eager" runs it as it is.
        charge: total charge of the chosen atoms, e, for models that take one (0, unless an artefact says otherwise).
        spin: their spin multiplicity 2S + 1, for models that take one (1, unless an artefact says otherwise).

    Raises:
        MHFFError: for an unknown head, a charge or spin that the model does not take, an element that it lacks, atoms that
            are out of range, twice there or no atoms, a file that is not ours, a box that is not the System's, or a name
            that is taken.
    """
    particles = selected_particles(system, topology, atoms)
    symbols = symbols_of(system, topology, particles)
    periodic = resolve_periodic(system, topology, periodic)
    check_skin(skin, SKIN)
    file = read_source(model)
    program = _program(model, file, form, device, dtype)
    capabilities = read_capabilities(file)
    weights = capabilities.head_row(head).tolist()
    species_indices(symbols, capabilities.elements)  # refuses elements that the model lacks
    elements = tuple(element for element in capabilities.elements if element in symbols)
    species = bytes(elements.index(symbol) for symbol in symbols)
    state = given_state(charge, spin, capabilities.state_embeddings, capabilities.default_state)
    parameters = {
        f"{name}_head_{known}": weight
        for known, weight in zip(capabilities.heads.names, weights, strict=True)
    }
    _check_name(system, name, parameters)
    computation = MHFFComputation(
        program._replace(elements=elements), species, tuple(parameters), state, periodic, skin
    )
    computation.adapter().warn_of_extrapolation(weights)
    force = PythonForce(computation, parameters, [] if atoms is None else particles)
    force.setName(name)
    force.setUsesPeriodicBoundaryConditions(periodic)
    system.addForce(force)
    return force


def _program(
    model: str | os.PathLike[str], file: SourceFile, form: str | None, device: str, dtype: str
) -> Program:
    """The program of a model or an artefact, as data."""
    if form is not None:
        parse_choice(Form, form, "form")
    if file.is_model:
        form = form or DEFAULT_FORM
    elif form is not None:
        raise MHFFError(
            f"'{file.name}' is not a .mhff model file, and only those are compiled; leave out "
            f"form='{form}'"
        )
    bundled = str(model) in BUNDLED and not Path(model).exists()
    source = str(model) if bundled else str(file.path.resolve())
    return Program(source, sha256(file.content), form, device, dtype)


def _check_name(system: openmm.System, name: str, parameters: Iterable[str]) -> None:
    """Refuse a name whose parameters another force of ours has: two forces share a parameter of one
    name.
    """
    for force in system.getForces():
        if isinstance(force, PythonForce) and set(force.getGlobalParameters()) & set(parameters):
            raise MHFFError(
                f"this System has a force with the parameters {listing(parameters)} already; "
                f"give this one another name, as name='{name}_2'"
            )
