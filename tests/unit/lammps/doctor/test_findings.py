"""What `mhff doctor` says about programs of LAMMPS; shell scripts play them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from lammps_help import KOKKOS, PLAIN

from mhff.doctor.findings import Finding
from mhff.doctor.questions import NoAnswerError
from mhff_lammps.doctor import findings, probe

FACTS = {
    "python": "3.11.7",
    "prefix": "/env",
    "lammps": "2026.7.4",
    "torch": "2.13.0",
    "mpi4py": "4.1.2",
    "shares_mpi": True,
}
EMBEDDED = f"{probe.PYTHON}3.11.7 in /env"


def lammps_says(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    help_text: str,
    run: str = "",
    code: int = 0,
    kokkos: str = "",
) -> dict[str, Finding]:
    """Findings about a program that prints this with -h and when it runs an input."""
    program = folder / "lmp"
    program.write_text(
        f"#!/bin/sh\n[ $1 = -h ] && printf %s {shlex.quote(help_text)} && exit 0\n"
        f"[ $1 = -k ] && printf %s {shlex.quote(kokkos)} && exit {int('Error' in kokkos)}\n"
        f"printf %s {shlex.quote(run)}\nexit {code}\n"
    )
    program.chmod(0o755)
    launcher = folder / "mpiexec"
    launcher.write_text("#!/bin/sh\necho HYDRA build details:\n")
    launcher.chmod(0o755)
    monkeypatch.setattr(findings, "programs", lambda: {"lmp": program})
    return {finding.name: finding for finding in findings.executables()}


def answer(**changes: Any) -> str:
    return f"{EMBEDDED}\n{probe.ANSWER}{json.dumps({**FACTS, **changes})}\n"


def test_a_whole_lammps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = lammps_says(monkeypatch, tmp_path, PLAIN, answer())
    assert all(finding.ok for finding in found.values()), found
    assert set(found) == {
        "lmp",
        "lmp packages",
        "lmp dispersion/d3",
        "lmp kokkos",
        "lmp python",
        "lmp mpi",
    }
    assert found["lmp"].found == f"version 20260704 ({tmp_path / 'lmp'})"
    assert found["lmp python"].found == "3.11.7 in /env, loads models of mhff"
    assert found["lmp mpi"].found.startswith("MPICH 5.0.2, mpi4py 4.1.2, started with ")


def test_no_lammps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "programs", dict)
    (finding,) = findings.executables()
    assert (finding.ok, finding.essential) == (False, False)
    assert "make lammps" in finding.mend


@pytest.mark.parametrize(
    ("date", "found"),
    [
        ("22 Jul 2025", "wrong forces for models of several layers on several ranks"),
        ("1 Jan 2027", "mhff is tested with 20260704"),
    ],
)
def test_other_versions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, date: str, found: str
) -> None:
    finding = lammps_says(monkeypatch, tmp_path, PLAIN.replace("4 Jul 2026", date), answer())["lmp"]
    assert not finding.ok
    assert found in finding.found
    assert finding.mend


def test_a_build_without_what_mhff_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is run in it."""
    found = lammps_says(monkeypatch, tmp_path, KOKKOS)
    assert set(found) == {"lmp", "lmp packages"}
    assert found["lmp packages"].found == "lacks ML-IAP, PYTHON"
    assert "-D PKG_ML-IAP=yes -D PKG_PYTHON=yes -D MLIAP_ENABLE_PYTHON=yes" in (
        found["lmp packages"].mend
    )


def test_a_build_without_dispersion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = PLAIN.replace("dispersion/d3", "")
    finding = lammps_says(monkeypatch, tmp_path, text, answer())["lmp dispersion/d3"]
    assert (finding.ok, finding.essential) == (False, False)
    assert "PKG_EXTRA-PAIR" in finding.mend


NO_SUPPORT = "ERROR: Using pair_style mliap unified requires ML-IAP with python support"
TRACEBACK = f"""{EMBEDDED}
Traceback (most recent call last):
  File "mliap_unified_couple.pyx", line 484
ModuleNotFoundError: No module named 'mhff_lammps'
ERROR: Running mliappy unified module failure. (src/ML-IAP/mliap_unified.cpp:59)
Last input line: pair_style mliap unified probe.pickle 0
"""


@pytest.mark.parametrize(
    ("run", "found"),
    [
        (
            TRACEBACK,
            "3.11.7 in /env cannot load mhff (ModuleNotFoundError: No module named 'mhff_lammps')",
        ),
        (
            f"{EMBEDDED}\n{NO_SUPPORT}\n",
            f"3.11.7 in /env cannot load mhff ({NO_SUPPORT})",
        ),
        (
            "Fatal Python error: init_fs_encoding\n",
            "an embedded Python that does not start cannot load mhff (ended with code 1: Fatal "
            "Python error: init_fs_encoding)",
        ),
    ],
    ids=["no mhff", "no python support", "no python"],
)
def test_an_embedded_python_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: str, found: str
) -> None:
    finding = lammps_says(monkeypatch, tmp_path, PLAIN, run, code=1)["lmp python"]
    assert (finding.ok, finding.found) == (False, found)
    built_without = "python support" in run
    assert ("MLIAP_ENABLE_PYTHON" if built_without else "first on PATH") in finding.mend


def test_modules_that_the_embedded_python_lacks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = lammps_says(monkeypatch, tmp_path, PLAIN, answer(lammps=None, torch=None))
    assert found["lmp python"].found == "3.11.7 in /env lacks the module lammps, torch"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"mpi4py": None}, "no mpi4py for several ranks"),
        ({"shares_mpi": False}, "mpi4py 4.1.2 uses another MPI library"),
    ],
)
def test_mpi_that_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, Any], found: str
) -> None:
    finding = lammps_says(monkeypatch, tmp_path, PLAIN, answer(**changes))["lmp mpi"]
    assert not finding.ok
    assert found in finding.found
    assert finding.mend


def test_a_launcher_of_another_mpi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    line = "MPI v5.0: MPICH Version:      5.0.2"
    text = PLAIN.replace(line, "MPI v3.1: Open MPI v4.1.4, package: Debian")
    finding = lammps_says(monkeypatch, tmp_path, text, answer())["lmp mpi"]
    assert not finding.ok
    assert "is that of another MPI" in finding.found


def test_a_build_without_mpi_runs_on_one_rank(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    line = "MPI v5.0: MPICH Version:      5.0.2"
    text = PLAIN.replace(line, "MPI v1.0: LAMMPS MPI STUBS for LAMMPS version 4 Jul 2026")
    finding = lammps_says(monkeypatch, tmp_path, text, answer(mpi4py=None))["lmp mpi"]
    assert (finding.ok, finding.found) == (True, "none: it runs on one rank")


WITH_KOKKOS = PLAIN.replace(
    "Installed packages:",
    "KOKKOS package API: {}\nKokkos library version: 5.1.0\nInstalled packages:",
)


@pytest.mark.parametrize(
    ("said", "ok", "found"),
    [
        (answer(), True, "loads models of mhff"),
        ("ModuleNotFoundError: No module named 'x'\n", False, "No module named 'x'"),
    ],
)
def test_the_coupling_of_kokkos(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, ok: bool, found: str
) -> None:
    text = WITH_KOKKOS.format("OpenMP Serial")
    finding = lammps_says(monkeypatch, tmp_path, text, answer(), kokkos=said)["lmp kokkos"]
    assert (finding.ok, bool(finding.mend)) == (ok, not ok)
    assert finding.found.startswith("OpenMP Serial (5.1.0), ")
    assert found in finding.found


def test_kokkos_for_gpus_is_not_started_without_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(findings, "NVIDIA_DRIVER", tmp_path / "none")
    text = WITH_KOKKOS.format("CUDA Serial")
    finding = lammps_says(monkeypatch, tmp_path, text, answer(), kokkos="Error")["lmp kokkos"]
    assert (finding.ok, finding.mend) == (True, "")
    assert "-k on needs a GPU" in finding.found


def test_a_program_that_is_not_lammps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (finding,) = lammps_says(monkeypatch, tmp_path, "hello").values()
    assert finding.found.endswith("lmp is not LAMMPS")


@pytest.mark.parametrize(
    ("packages", "version", "ok"),
    [
        (["ML-IAP", "PYTHON"], 20260704, True),
        (["ML-IAP", "PYTHON"], 20250722, False),
        (["ML-IAP"], 20260704, False),
    ],
)
def test_the_module(
    monkeypatch: pytest.MonkeyPatch, packages: list[str], version: int, ok: bool
) -> None:
    facts = {"packages": packages, "version": version}
    monkeypatch.setattr(findings, "ask_python", lambda code: facts)
    (finding,) = findings.module()
    assert finding.ok == ok


def test_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(code: str) -> dict[str, Any]:
        raise NoAnswerError("ended with code 1: ModuleNotFoundError: No module named 'lammps'")

    monkeypatch.setattr(findings, "ask_python", fail)
    (finding,) = findings.module()
    assert not finding.ok
    assert "make lammps" in finding.mend
