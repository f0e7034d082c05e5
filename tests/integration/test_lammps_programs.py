"""LAMMPS with mhff as the engine of another program: i-PI's protocol and MDI."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.socketio import SocketIOCalculator
from lammps_runs import ENVIRONMENT, MPIEXEC, PAIR, Coupling, ase_result, labels, start
from structures import magnesia

HEAD = "surfaces"
TIMEOUT = 60
"""Ends a conversation that hangs, s."""
CONSTANTS = 1e-7
"""Relative; the programs convert with eight digits of Bohr and Hartree."""
N_GEOMETRIES = 2


def geometry(seed: int) -> Atoms:
    """The crystal with atoms elsewhere; its cell is larger than that of the data file."""
    atoms = magnesia()
    atoms.rattle(0.1, seed=seed)
    atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
    return atoms


@contextmanager
def engine(
    folder: Path, commands: str, coupling: Coupling, *arguments: str
) -> Iterator[subprocess.Popen[str]]:
    """LAMMPS on two ranks, with the model and the data of `magnesia`; ended at last."""
    model = f"{PAIR}pair_coeff * * {labels(HEAD)}\n"
    (folder / "in.engine").write_text(start(folder, "bulk", magnesia()) + model + commands)
    program = [str(coupling.program), *coupling.arguments, "-in", "in.engine", "-log", "none"]
    process = subprocess.Popen(
        [str(MPIEXEC), "-n", "2", *program, *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
        process.wait(TIMEOUT)
    finally:
        process.kill()


@pytest.mark.slow
def test_fix_ipi(lammps_folder: Path) -> None:
    """The server is ASE's. With `-k on`, LAMMPS' fix ipi fails at the second geometry."""
    name = f"mhff_{uuid4().hex}"
    commands = f"fix driver all ipi {name} 31415 unix\nrun 1000\n"
    with (
        SocketIOCalculator(unixsocket=name, timeout=TIMEOUT) as calculator,
        engine(lammps_folder, commands, Coupling.PLAIN),
    ):
        for seed in range(N_GEOMETRIES):
            atoms = geometry(seed)
            expected = ase_result(atoms, HEAD)
            atoms.calc = calculator
            energy = atoms.get_potential_energy()
            assert energy == pytest.approx(expected.energy, rel=CONSTANTS)
            scale = np.abs(expected.forces).max()
            assert np.abs(atoms.get_forces() - expected.forces).max() < 10 * CONSTANTS * scale
        calculator.close()  # which ends the engine


DRIVER = """
import json, sys
import mdi
import numpy as np

mdi.MDI_Init(f"-role DRIVER -name driver -method TCP -port {sys.argv[1]}")
engine = mdi.MDI_Accept_Communicator()
results = []
for cell, positions in json.load(open("geometries")):
    mdi.MDI_Send_Command(">CELL", engine)
    mdi.MDI_Send(cell, 9, mdi.MDI_DOUBLE, engine)
    mdi.MDI_Send_Command(">COORDS", engine)
    mdi.MDI_Send(positions, len(positions), mdi.MDI_DOUBLE, engine)
    mdi.MDI_Send_Command("<ENERGY", engine)
    energy = mdi.MDI_Recv(1, mdi.MDI_DOUBLE, engine)
    mdi.MDI_Send_Command("<FORCES", engine)
    forces = mdi.MDI_Recv(len(positions), mdi.MDI_DOUBLE, engine)
    results.append([energy, list(forces)])
mdi.MDI_Send_Command("EXIT", engine)
json.dump(results, open("results", "w"))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_mdi_engine(lammps_folder: Path, coupling: Coupling) -> None:
    folder = lammps_folder
    structures = [geometry(seed) for seed in range(N_GEOMETRIES)]
    bohr = 0.5291772105638411
    hartree = 27.211386245988
    geometries = [
        [(atoms.cell[:] / bohr).ravel().tolist(), (atoms.positions / bohr).ravel().tolist()]
        for atoms in structures
    ]
    (folder / "geometries").write_text(json.dumps(geometries))
    (folder / "driver.py").write_text(DRIVER)
    port = free_port()
    how = f"-role ENGINE -name LAMMPS -method TCP -hostname localhost -port {port}"
    driver = subprocess.Popen([sys.executable, "driver.py", str(port)], cwd=folder, env=ENVIRONMENT)
    try:
        with engine(folder, "mdi engine\n", coupling, "-mdi", how):
            assert driver.wait(TIMEOUT) == 0
    finally:
        driver.kill()
    results = json.loads((folder / "results").read_text())
    for atoms, (energy, forces) in zip(structures, results, strict=True):
        expected = ase_result(atoms, HEAD)
        assert energy * hartree == pytest.approx(expected.energy, rel=CONSTANTS)
        got = np.reshape(forces, (-1, 3)) * hartree / bohr
        scale = np.abs(expected.forces).max()
        assert np.abs(got - expected.forces).max() < 10 * CONSTANTS * scale
