"""What LAMMPS users can get wrong with mhff: wrong labels, settings, files, ranks; from input
scripts and from Python.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from lammps_runs import (
    ENERGY_TOLERANCE,
    MEASURE,
    PAIR,
    ase_result,
    assert_same,
    folder_with_model,
    labels,
    magnesia,
    primitive,
    read,
    record,
    run,
    run_python,
    start,
    succeeded,
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_with_model(tmp_path)


COEFF = f"pair_coeff * * {labels('surfaces')}\n"


@pytest.mark.parametrize(
    ("coeff", "sentence"),
    [
        (
            "H@surface C@surface N@surface O@surface Mg@surface",
            "Incorrect args for pair coefficients",
        ),
        (
            "H@surfaces C@surfaces N@surfaces O@surfaces Ti@surfaces",
            "Incorrect args for pair coefficients",
        ),
        ("NULL NULL NULL O@surfaces Mg@surfaces", "All pair coeffs are not set"),
        ("O@surfaces Mg@surfaces", ""),  # LAMMPS reads past the end
    ],
    ids=["unknown head", "unknown element", "NULL", "too few"],
)
def test_valid_labels_are_printed_before_lammps_refuses_wrong_ones(folder, coeff, sentence):
    done = run(folder, start(folder, "a", primitive()) + PAIR + f"pair_coeff * * {coeff}\nrun 0\n")
    assert done.returncode != 0
    assert "mhff: elements H C N O Mg; heads materials molecules surfaces" in done.stdout
    assert "pair_coeff * * H@materials C@materials" in done.stdout
    assert sentence in done.stdout + done.stderr


def bonded(folder: Path) -> str:
    """Commands that read two bonded atoms of CO."""
    atoms = Atoms("CO", positions=[[5, 5, 5], [5, 5, 6.1]], cell=[10.0] * 3, pbc=True)
    text = start(folder, "a", atoms).replace(
        "atom_style atomic", "atom_style bond\nbond_style zero"
    )
    data = (folder / "a.data").read_text()
    data = data.replace("2 atoms", "2 atoms\n1 bonds\n1 bond types").replace(
        "Atoms # atomic", "Atoms # bond"
    )
    head, body = data.split("Atoms # bond")
    rows = [row.split() for row in body.split("\n") if row.strip()]
    lines = [" ".join([row[0], "1", *row[1:]]) for row in rows]
    (folder / "a.data").write_text(
        f"{head}Atoms # bond\n\n" + "\n".join(lines) + "\n\nBonds\n\n1 1 1 2\n"
    )
    return text + "bond_coeff 1\n"


REFUSALS: dict[str, tuple[Callable[[Path], str], str]] = {
    "units": (
        lambda folder: start(folder, "a", primitive()).replace("metal", "real") + PAIR + COEFF,
        "expected 'units metal' (eV, A, bar), got 'units real'",
    ),
    "bonds": (lambda folder: bonded(folder) + PAIR + COEFF, "add 'special_bonds lj/coul 1 1 1'"),
    "neighbours of ghosts": (
        lambda folder: start(folder, "a", primitive()) + PAIR.replace(" 0", " 1") + COEFF,
        "expected 'pair_style mliap unified FILE 0', got 1",
    ),
    "atom IDs": (
        lambda folder: (
            "units metal\natom_modify id no\nregion all block 0 5 0 5 0 5\ncreate_box 1 all\nmass "
            "1 24\n"
            f"create_atoms 1 single 1 1 1\ncreate_atoms 1 single 3 1 1\n{PAIR}pair_coeff * * "
            "Mg@materials\n"
        ),
        "remove 'atom_modify id no'",
    ),
    "coinciding atoms": (
        lambda folder: (
            start(folder, "a", primitive())
            + "create_atoms 5 single 0.3 0.3 0.3\ncreate_atoms 5 single 0.3 0.3 0.3\n"
            + PAIR
            + COEFF
        ),
        "expected finite numbers",
    ),
}


def refused(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    """One sentence on stderr, exit code 2, no traceback."""
    assert done.returncode == 2, done.stdout[-2000:] + done.stderr
    lines = {line for line in done.stderr.splitlines() if line.startswith("mhff: ")}
    assert len(lines) == 1
    assert sentence in lines.pop()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("what", REFUSALS)
def test_refuses_what_would_give_wrong_numbers(folder, what):
    commands, sentence = REFUSALS[what]
    refused(run(folder, commands(folder) + "run 0\n"), sentence)


def test_refuses_two_ranks(folder):
    done = run(folder, start(folder, "a", magnesia()) + PAIR + COEFF + "run 0\n", ranks=2)
    refused(done, "mhff runs LAMMPS on one MPI rank, this run has 2")


def test_bonded_atoms_are_right_with_special_bonds_1(folder):
    succeeded(
        run(
            folder,
            bonded(folder)
            + PAIR
            + COEFF
            + "special_bonds lj/coul 1 1 1\n"
            + MEASURE
            + record("co"),
        )
    )
    atoms = Atoms("CO", positions=[[5, 5, 5], [5, 5, 6.1]], cell=[10.0] * 3, pbc=True)
    assert_same(read(folder, "co"), ase_result(atoms, "surfaces"))


def test_refuses_a_damaged_file(folder):
    content = bytearray((folder / "mini.mliap").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "mini.mliap").write_bytes(content)
    refused(
        run(folder, start(folder, "a", primitive()) + PAIR), "is damaged: its checksum does not fit"
    )


@pytest.mark.parametrize("content", [b"not ours", None], ids=["foreign", "truncated"])
def test_a_file_that_is_not_a_pickle_is_refused_by_python(folder, content):
    file = folder / "mini.mliap"
    file.write_bytes(content or file.read_bytes()[:5000])
    done = run(folder, start(folder, "a", primitive()) + PAIR)
    assert done.returncode == 1
    assert "UnpicklingError" in done.stderr


DRIVER = """
import lammps, lammps.mliap, mhff_lammps
from mhff import MHFFError

lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none"])

def energy(*commands):
    lmp.commands_list(["clear", *commands, "run 0"])
    return lmp.get_thermo("pe")

structure = open("structure").read().split("\\n")
"""


@pytest.mark.parametrize(
    "load", ["mhff_lammps.load_model(lmp, 'mini.mliap')", "lammps.mliap.activate_mliappy(lmp)"]
)
def test_python_driver_gets_exceptions_and_goes_on(folder, load):
    (folder / "structure").write_text(start(folder, "a", primitive()))
    file = "EXISTS" if "load_model" in load else "mini.mliap"
    coeff = f"pair_coeff * * {labels('surfaces')}"
    done = run_python(
        folder,
        f"""{DRIVER}
{load}
pair = ["pair_style mliap unified {file} 0", "{coeff}"]
print(energy(*structure, *pair))
try:
    energy("units real", *structure[2:], *pair)
except Exception as error:
    print("exception", type(error).__name__)
print(energy(*structure, *pair))
for file, content in (("mini.mhff", b"foreign"), ("cut.mliap", open("mini.mliap", "rb").read()[:5000]), ("none", None)):
    if content is not None:
        open(file, "wb").write(content)
    try:
        mhff_lammps.load_model(lmp, file)
    except MHFFError as error:
        print("refused", error)
""",
    )
    lines = [line for line in succeeded(done).splitlines() if not line.startswith("mhff: ")]
    expected = ase_result(primitive(), "surfaces").energy
    assert [float(lines[index]) for index in (0, 2)] == pytest.approx(
        [expected] * 2, rel=0, abs=ENERGY_TOLERANCE
    )
    assert lines[1] == "exception Exception"
    assert "MHFFError: expected 'units metal' (eV, A, bar), got 'units real'" in done.stderr
    assert [line.split(" (")[0] for line in lines[3:]] == [
        "refused 'mini.mhff' is truncated or not a file of mhff compile --target lammps",
        "refused 'cut.mliap' is truncated or not a file of mhff compile --target lammps",
        "refused no file 'none': make one with mhff compile MODEL --target lammps -o none",
    ]
