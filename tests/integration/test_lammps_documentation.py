"""docs/lammps.md: its first run works, and LAMMPS' errors are those that it explains."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import output_of
from lammps_runs import ENVIRONMENT, LMP_KOKKOS, PAIR, TIMEOUT, Coupling, labels, run, start
from left_out import skip_without_kokkos
from structures import magnesia

from mhff import load
from mhff.options import CompileOptions, Form
from mhff_deploy.compiling.cache import compiled
from mhff_lammps.filekind import wrap

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "lammps.md").read_text()
COEFF = f"pair_coeff * * {labels('surfaces')}\n"


def first_run() -> str:
    """The input script in the section of that name."""
    _, _, section = PAGE.partition("\n## First run\n")
    lines = section.partition("\nFrom Python:")[0].splitlines()
    block = [line[4:] for line in lines if line.startswith("    ") and "mhff compile" not in line]
    return "\n".join(block) + "\n"


def test_the_first_run_works(tmp_path: Path, coupling: Coupling) -> None:
    options = CompileOptions(head="surfaces", form=Form.TORCHSCRIPT)
    (tmp_path / "mini.mliap").write_bytes(wrap(compiled(load("mini"), options).read_bytes()))
    shutil.copy(ROOT / "examples" / "lammps" / "co-on-mgo.data", tmp_path)
    script = first_run()
    assert "run           100" in script
    output = output_of(run(tmp_path, script.replace("run           100", "run 2"), 1, coupling))
    assert output.count("Loop time") == 1


WRONG_INPUT = {
    "Incorrect args for pair coefficients": PAIR + COEFF.replace("@surfaces", "@surface"),
    "All pair coeffs are not set": PAIR + "pair_coeff * * NULL NULL NULL O@surfaces Mg@surfaces\n",
}


@pytest.mark.parametrize("message", WRONG_INPUT)
def test_errors_of_inputs(lammps_folder: Path, coupling: Coupling, message: str) -> None:
    assert message in PAGE
    text = start(lammps_folder, "a", magnesia()) + WRONG_INPUT[message] + "run 0\n"
    done = run(lammps_folder, text, 1, coupling)
    assert done.returncode != 0
    assert message in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-k on", "KOKKOS package requires a Kokkos-enabled atom_style"),
        ("-sf kk", "Cannot use KOKKOS styles without enabling KOKKOS"),
        ("-k on -sf kk -pk kokkos newton off neigh half", "requires newton pair on"),
    ],
)
def test_errors_of_arguments(lammps_folder: Path, arguments: str, message: str) -> None:
    skip_without_kokkos()
    assert message in PAGE
    text = start(lammps_folder, "a", magnesia()) + PAIR + COEFF + "run 0\n"
    (lammps_folder / "in.lammps").write_text(text)
    done = subprocess.run(
        [LMP_KOKKOS, *arguments.split(), "-in", "in.lammps", "-log", "none"],
        cwd=lammps_folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode != 0
    assert message in done.stdout + done.stderr
