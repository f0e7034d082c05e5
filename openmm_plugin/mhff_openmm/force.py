"""`add_mhff_force`: a model's energy as a force of an OpenMM System."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mhff.atoms import species_indices
from mhff.capabilities import Capabilities
from mhff.errors import MHFFError, listing
from mhff.filekinds import SourceFile, read_source
from mhff.files import sha256
from mhff.heads import HeadSpec
from mhff.modelfile import BUNDLED
from mhff.opening import read_capabilities
from mhff.state import given_state
from mhff.verlet import check_skin

try:
    import openmm
    from openmm import app
except ImportError as error:
    raise MHFFError(
        f"mhff_openmm needs OpenMM 8.6 or newer ({error}); pip install 'mhff[openmm]'"
    ) from error

from mhff_openmm.backends.choice import (
    AUTO,
    backends_by_speed,
    choose_backend,
    global_parameters,
)
from mhff_openmm.checks import (
    check_kinds,
    nested_forces,
    resolve_periodic,
    selected_particles,
    symbols_of,
)
from mhff_openmm.definition import ForceDefinition
from mhff_openmm.parameters import Parameters, checked_path
from mhff_openmm.program import Program

DEFAULT_SKIN = 1.0
"""Default width of the neighbour list's skin in OpenMM, A."""


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
    backend: str = AUTO,
    path: tuple[str, str] | None = None,
    periodic: bool | None = None,
    skin: float = DEFAULT_SKIN,
    form: str | None = None,
    charge: float | None = None,
    spin: float | None = None,
) -> openmm.Force:
    """Add the model's energy of all atoms, or of `atoms`, to a System, and return the new force.

    The weight of each head is a global parameter `<name>_head_<head>`, which a running Context can
    change with `setParameter`. Weights are used as given, never normalised.

    With `path=(A, B)` the parameter `<name>_lambda` leads straight from head A, at 0, to head B, at
    1: it adds 1 - lambda to the weight of A and lambda to that of B. All `<name>_head_<head>` are 0
    at first.

    Args:
        system: gets the force. The model describes every interaction among the chosen atoms.
        topology: the System's topology, which gives the elements.
        model: a model file, `"mini"`, or an artefact of `mhff compile`.
        head: name of a head, or a mix such as `{"materials": 0.5, "surfaces": 0.5}`. May be left
            out for a model with one head, and for an artefact compiled with a head.
        atoms: indices of the atoms that the force acts on, in any order; None for all.
        dtype: "float32" for molecular dynamics; "float64" for minimisation, normal modes and
            comparisons (`docs/precision.md`). An artefact compiled in float32 has no float64.
        name: of the force; its parameters' names begin with it.
        device: "cpu" or "cuda".
        backend: the kind of force. "python" is OpenMM's PythonForce; "torch" is TorchForce of the
            plug-in openmm-torch, which runs without Python and is read by `read_system`;
            "python-torch" is that plug-in's PythonTorchForce. "auto" takes the fastest that works
            with what is installed, and the log (level INFO) says which: "python", but for the
            form torchscript "torch".
        path: names of two heads, in place of `head`, for a theory that changes along lambda.
        periodic: None means periodic if the topology has box vectors or the System is periodic.
        skin: width of the neighbour list's skin, A; a wider one means fewer searches, more pairs.
        form: how a model runs: "aoti" or "torchscript", compiled once into the compile cache,
            or "eager", without compiling. None means "aoti", or "eager" without a compiler.
        charge: total charge of the chosen atoms, e, for models that take one; 0, or an artefact's
            own, if left out.
        spin: spin multiplicity 2S + 1 of the chosen atoms, for models that take one; 1, or an
            artefact's own, if left out.

    Raises:
        MHFFError: for an unknown head, a head together with a path, a charge or spin that the model
            does not take, an element that it lacks, atoms that are out of range, repeated or none,
            a file that is not one of mhff, a box that differs from the System's, or a name that is
            taken.
    """
    check_kinds(system, topology)
    particles = selected_particles(system, topology, atoms)
    symbols = symbols_of(system, topology, particles)
    periodic = resolve_periodic(system, topology, periodic)
    check_skin(skin, DEFAULT_SKIN)
    file = read_source(model)
    capabilities = read_capabilities(file)
    _check_text(name)
    parameters, weights = _parameters(name, capabilities, head, path)
    species_indices(symbols, capabilities.elements)  # refuses elements that the model lacks
    elements = tuple(element for element in capabilities.elements if element in symbols)
    state = given_state(charge, spin, capabilities.state_embeddings, capabilities.default_state)
    _check_name(system, name, parameters.names)
    definition = ForceDefinition(
        Program(_lasting_name(model, file), sha256(file.content), form, device, dtype, elements),
        file,
        tuple(symbols),
        None if atoms is None else tuple(particles),
        parameters,
        tuple(weights),
        state,
        periodic,
        skin,
    )
    backends = backends_by_speed(definition)
    force = choose_backend(backend, definition, backends).make(definition)
    force.setName(name)
    force.setUsesPeriodicBoundaryConditions(periodic)
    system.addForce(force)
    return force


def _parameters(
    name: str,
    capabilities: Capabilities,
    head: HeadSpec | None,
    path: tuple[str, str] | None,
) -> tuple[Parameters, list[float]]:
    """The force's parameters, and the weight that each head has by its own parameter at first."""
    heads = capabilities.heads
    if path is None:
        return Parameters(name, heads.names), capabilities.head_row(head).tolist()
    if head is not None:
        raise MHFFError(
            f"expected a head or a path, got both head={head!r} and path={path!r}; give the path "
            "alone, which starts at its first head, or the head alone"
        )
    return Parameters(name, heads.names, checked_path(heads, path)), [0.0] * len(heads)


def _lasting_name(model: str | os.PathLike[str], file: SourceFile) -> str:
    """Name by which another process finds the file: a bundled model's, or the absolute path."""
    bundled = str(model) in BUNDLED and not Path(model).exists()
    return str(model) if bundled else str(file.path.resolve())


def _check_text(name: object) -> None:
    """Raise MHFFError unless this can be the name of a force."""
    if not isinstance(name, str) or not name:
        raise MHFFError(
            f"expected a name for the force, got {name!r}; give a text such as name='mhff', with "
            "which the names of its parameters begin"
        )


def _check_name(system: openmm.System, name: str, parameters: Iterable[str]) -> None:
    """Raise MHFFError if another force has these parameters: OpenMM shares them by name."""
    for force in nested_forces(system):
        if set(global_parameters(force)) & set(parameters):
            raise MHFFError(
                f"this System already has a force with the parameters {listing(parameters)}; "
                f"give this one another name, for example name='{name}_2'"
            )
