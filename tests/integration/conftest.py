"""Model files for OpenMM and LAMMPS, and what the ASE calculator gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from lammps_runs import Coupling, folder_with_model
from left_out import skip_without_kokkos
from models import HEADS, random_model
from structures import ELEMENTS

from mhff import MHFFCalculator
from mhff.heads import Head, Heads


@pytest.fixture(scope="session")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model with random weights; its molecules head was not trained on Mg."""
    model = random_model(l_max=2, correlation=2)
    trained = {"molecules": tuple(element for element in ELEMENTS if element != "Mg")}
    model.heads = Heads([Head(name=name, elements=trained.get(name, ELEMENTS)) for name in HEADS])
    path = tmp_path_factory.mktemp("model") / "random.mhff"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def ase_results(model_file: Path) -> Callable[..., tuple[float, np.ndarray]]:
    calculator = MHFFCalculator(model_file, head=HEADS[0], dtype="float64", form="eager")

    def results(atoms: Atoms, head) -> tuple[float, np.ndarray]:  # type: ignore[no-untyped-def]
        atoms = atoms.copy()
        calculator.set_head(head)
        atoms.calc = calculator
        return atoms.get_potential_energy(), atoms.get_forces()

    return results


@pytest.fixture
def lammps_folder(tmp_path: Path) -> Path:
    """A folder with the bundled model's file for LAMMPS, `mini.mliap`, float64, all heads."""
    return folder_with_model(tmp_path)


@pytest.fixture(scope="session", params=Coupling, ids=str)
def coupling(request: pytest.FixtureRequest) -> Coupling:
    """Both couplings of LAMMPS, one after the other; that of KOKKOS only where it was built."""
    if request.param is Coupling.KOKKOS:
        skip_without_kokkos()
    return request.param


@pytest.fixture(scope="session", params=[1, 2, 4], ids="{} ranks".format)
def ranks(request: pytest.FixtureRequest) -> int:
    """The number of processes, for `run` and `run_python`."""
    return request.param
