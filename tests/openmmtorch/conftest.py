"""A model for the tests in the environment of openmm-torch, forces of it, and what ASE gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import pytest
import torch
from ase import Atoms
from models import HEADS, random_model
from structures import ELEMENTS

from mhff import MHFFCalculator
from mhff.heads import Head, Heads
from mhff_openmm import add_mhff_force
from mhff_openmm.systems import system_of

torch.set_num_threads(1)

Results = tuple[float, np.ndarray]


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights, the same in every session, so that it is compiled once."""
    model = random_model(l_max=2, correlation=2, n_channels=8, n_edge_channels=8)
    model.heads = Heads([Head(name=name, elements=ELEMENTS) for name in HEADS])
    path = tmp_path_factory.mktemp("model") / "random.mhff"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def ase_results(model_file: Path) -> Callable[..., Results]:
    """Energy, eV, and forces, eV/A, by the eager model in float64."""
    calculator = MHFFCalculator(model_file, head=HEADS[0], dtype="float64", form="eager")

    def results(atoms: Atoms, head: Any) -> Results:
        atoms = atoms.copy()
        calculator.set_head(head)
        atoms.calc = calculator
        return atoms.get_potential_energy(), atoms.get_forces()

    return results


@pytest.fixture
def make_system(model_file: Path) -> Callable[..., openmm.System]:
    """A System of a structure with one force of mhff, by default of backend `torch` in float64."""

    def system(atoms: Atoms, /, **arguments: Any) -> openmm.System:
        made, topology = system_of(atoms)
        options = {"backend": "torch", "dtype": "float64", "form": "torchscript"} | arguments
        if "path" not in options:
            options.setdefault("head", "molecules")
        add_mhff_force(made, topology, model_file, **options)
        return made

    return system
