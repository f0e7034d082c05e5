"""mhff in a real LAMMPS against the ASE calculator: energies, forces, pressure, labels at run time, NVE, refusals."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms, build
from lammps_runs import (
    LMP,
    MEASURE,
    Result,
    labels,
    read,
    record,
    run,
    run_mhff,
    run_python,
    start,
    succeeded,
    turned,
)

from mhff import MHFFCalculator
from mhff_deploy.cache import compiled
from mhff_lammps.target import LAMMPS

ENERGY_TOLERANCE = 1e-9
"""eV per atom, between engines, float64."""
FORCE_TOLERANCE = 1e-8
"""eV/A, between engines, float64."""
PRESSURE_TOLERANCE = (1e-6, 0.01)
"""Relative to the largest component, and bar: the larger counts."""
DRIFT_TOLERANCE = 1e-5
"""eV per atom over 2 ps."""
BAR_PER_EV_A3 = 1.6021765e6
"""LAMMPS' own factor of metal units (nktv2p)."""
VOIGT = [0, 1, 2, 5, 4, 3]
"""ASE's xx, yy, zz, yz, xz, xy in LAMMPS' order."""

HEADS = ("materials", "surfaces", "molecules")
FORMS = ("aoti", "torchscript")
EXAMPLES = Path(__file__).parents[2] / "examples" / "lammps"
MGO_LATTICE = 4.21
"""A."""


def rattled(atoms: Atoms, by: float = 0.05) -> Atoms:
    atoms.rattle(by, seed=7)
    return atoms


def magnesia() -> Atoms:
    """64 atoms; the box is smaller than twice the cutoff."""
    return rattled(build.bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True) * (2, 2, 2))


def triclinic() -> Atoms:
    atoms = build.bulk("MgO", "rocksalt", a=MGO_LATTICE) * (3, 2, 2)
    atoms.set_cell(atoms.cell[:] @ np.array([[1.02, 0.03, 0], [0, 0.99, -0.04], [0.01, 0, 1.0]]), scale_atoms=True)
    return turned(rattled(atoms))


def primitive() -> Atoms:
    """2 atoms in a cell smaller than the cutoff."""
    return turned(rattled(build.bulk("MgO", "rocksalt", a=MGO_LATTICE), 0.1))


def adsorbate() -> Atoms:
    """CO on MgO(100)."""
    slab = build.surface(build.bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True), (1, 0, 0), 2, vacuum=7.0, periodic=True)
    slab = rattled(slab * (2, 2, 1))
    top = max((atom for atom in slab if atom.symbol == "Mg"), key=lambda atom: atom.z)
    return turned(slab + Atoms("CO", positions=top.position + np.array([[0, 0, 2.4], [0.2, 0, 3.54]])))


def gas() -> Atoms:
    """Atoms without neighbours, not periodic."""
    return Atoms("HCNOMg", positions=40.0 * np.arange(15).reshape(5, 3) + 10.0, cell=[600.0] * 3, pbc=False)


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    build_one.__name__: build_one for build_one in (magnesia, triclinic, primitive, adsorbate, gas)
}


@pytest.fixture(scope="module", autouse=True)
def _lammps_is_there() -> None:
    assert LMP.exists(), f"no {LMP}: run make lammps"


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The bundled model's file for LAMMPS in each form, float64, without a default head."""
    return {form: LAMMPS.wrap(compiled("mini", dtype="float64", form=form).read_bytes()) for form in FORMS}


@pytest.fixture
def folder(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """A folder with the model's file, `mini.mliap`, in the form that loads fastest."""
    (tmp_path / "mini.mliap").write_bytes(files["torchscript"])
    return tmp_path


@pytest.fixture(scope="module")
def results(files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str], Result]:
    """What LAMMPS says of a structure with a head and a form of the program; one LAMMPS run per form evaluates all."""
    folders = {}
    for form in FORMS:
        folders[form] = tmp_path_factory.mktemp(form)
        (folders[form] / "any.name").write_bytes(files[form])
        text = "\n".join(measure_every_head(folders[form], name) for name in STRUCTURES)
        succeeded(run(folders[form], text))
    return lambda name, head, form: read(folders[form], f"{name}-{head}")


def measure_every_head(folder: Path, name: str) -> str:
    commands = ["clear", start(folder, name, STRUCTURES[name]()), "pair_style mliap unified any.name 0"]
    for head in HEADS:
        commands += [f"pair_coeff * * {labels(head)}", MEASURE if head == HEADS[0] else "", record(f"{name}-{head}")]
    return "\n".join(commands)


def ase_result(atoms: Atoms, head: str | None = None) -> Result:
    """What the ASE calculator says of a structure (with `head` None: of one that names a head per atom)."""
    atoms = atoms.copy()
    atoms.calc = MHFFCalculator("mini", head=head, dtype="float64")
    pressure = -BAR_PER_EV_A3 * atoms.get_stress()[VOIGT]
    nothing = np.zeros((len(atoms), 6))
    return Result(atoms.get_potential_energy(), atoms.get_forces(), atoms.calc.results["energies"], pressure, nothing)


def assert_same(got: Result, expected: Result) -> None:
    n_atoms = len(expected.forces)
    assert abs(got.energy - expected.energy) <= ENERGY_TOLERANCE * n_atoms
    assert np.abs(got.energies - expected.energies).max() <= ENERGY_TOLERANCE
    assert np.abs(got.forces - expected.forces).max() <= FORCE_TOLERANCE
    relative, absolute = PRESSURE_TOLERANCE
    assert np.abs(got.pressure - expected.pressure).max() <= max(absolute, relative * np.abs(expected.pressure).max())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_equals_ase(results, name, head, form):
    atoms = STRUCTURES[name]()
    got = results(name, head, form)
    assert_same(got, ase_result(atoms, head))
    # stress per atom adds up to the pressure
    total = -got.atomic_stress.sum(0) / atoms.get_volume()
    np.testing.assert_allclose(total, got.pressure, rtol=1e-9, atol=1e-9 * (1 + np.abs(got.pressure).max()))
    others = [results(name, other, form).energy for other in HEADS if other != head]
    assert all(abs(got.energy - other) > 1e-3 for other in others)  # the heads differ, so the comparison means something


PER_TYPE = {"H": "molecules", "C": "molecules", "N": "surfaces", "O": "surfaces", "Mg": "materials"}


@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_head_per_type_and_changed_between_runs_equals_a_fresh_start(folder):
    per_type = " ".join(f"{element}@{head}" for element, head in PER_TYPE.items())
    first = f"""
        {start(folder, "slab", adsorbate())}
        pair_style mliap unified mini.mliap 0
        pair_coeff * * {labels("surfaces")}
        velocity all create 300 1
        timestep 0.001
        fix move all nve
        run 3
        pair_coeff * * {per_type}
        {MEASURE}
        {record("changed")}
        write_data moved.data nocoeff
        clear
        units metal
        atom_modify map yes
        read_data moved.data
        velocity all set 0 0 0
        pair_style mliap unified mini.mliap 0
        pair_coeff * * {per_type}
        {MEASURE}
        {record("fresh")}
        write_dump all custom positions id x y z modify sort id format float %.17g
    """
    succeeded(run(folder, first))
    changed, fresh = read(folder, "changed"), read(folder, "fresh")
    assert_same(changed._replace(pressure=fresh.pressure), fresh)  # the moving atoms have a kinetic pressure
    atoms = adsorbate()
    atoms.positions = np.loadtxt(folder / "positions", skiprows=9)[:, 1:]
    atoms.arrays["mhff_head"] = np.array([PER_TYPE[symbol] for symbol in atoms.symbols])
    assert_same(fresh, ase_result(atoms))


def test_bulk_conserves_its_energy(folder, files):
    (folder / "mini.mliap").write_bytes(files["aoti"])
    atoms = build.bulk("MgO", "rocksalt", a=MGO_LATTICE, cubic=True) * (2, 2, 2)
    text = f"""
        {start(folder, "bulk", atoms)}
        pair_style mliap unified mini.mliap 0
        pair_coeff * * {labels("materials")}
        velocity all create 600 1 mom yes rot yes
        timestep 0.001
        fix move all nve
        variable time equal time
        variable total equal etotal/atoms
        variable printed format total %.15g
        fix out all print 10 "${{time}} ${{printed}}" file energies screen no
        thermo 100
        run 2000
    """
    succeeded(run(folder, text))
    times, energies = np.loadtxt(folder / "energies").T
    assert times[-1] == pytest.approx(2.0)
    slope = np.polyfit(times, energies, 1)[0]
    assert abs(slope * times[-1]) < DRIFT_TOLERANCE


def test_atoms_with_null_labels_take_no_part(folder):
    """Under hybrid; the argon-like atoms (type N) sit among the others."""
    atoms = magnesia()
    ours = atoms.copy()
    atoms += Atoms("N2", positions=[[1.0, 1.1, 1.2], [5.2, 3.1, 3.0]])
    order = np.random.default_rng(0).permutation(len(atoms))
    text = f"""
        {start(folder, "mixed", atoms[order])}
        pair_style hybrid/overlay mliap unified mini.mliap 0 zero 6.0
        pair_coeff * * mliap H@materials C@materials NULL O@materials Mg@materials
        pair_coeff * * zero
        {MEASURE}
        {record("mixed")}
    """
    succeeded(run(folder, text))
    got, back = read(folder, "mixed"), np.argsort(order)
    expected = ase_result(ours, "materials")
    subset = [field[back][: len(ours)] for field in (got.forces, got.energies)]
    assert_same(Result(got.energy, *subset, got.pressure, got.atomic_stress), expected)
    assert not got.forces[back][len(ours) :].any()
    assert not got.energies[back][len(ours) :].any()


PAIR = "pair_style mliap unified mini.mliap 0\n"
COEFF = f"pair_coeff * * {labels('surfaces')}\n"
MAGNESIUM = "Mg@materials"


@pytest.mark.parametrize(
    ("coeff", "sentence"),
    [
        ("H@surface C@surface N@surface O@surface Mg@surface", "Incorrect args for pair coefficients"),
        ("H@surfaces C@surfaces N@surfaces O@surfaces Ti@surfaces", "Incorrect args for pair coefficients"),
        ("NULL NULL NULL O@surfaces Mg@surfaces", "All pair coeffs are not set"),
        ("O@surfaces Mg@surfaces", ""),  # LAMMPS reads past the end
    ],
    ids=["unknown head", "unknown element", "NULL", "too few"],
)
def test_valid_labels_are_printed_before_lammps_refuses_wrong_ones(folder, coeff, sentence):
    done = run(folder, start(folder, "a", primitive()) + PAIR + f"pair_coeff * * {coeff}\nrun 0\n")
    assert done.returncode != 0
    assert "mhff: elements H C N O Mg; heads materials surfaces molecules" in done.stdout
    assert "pair_coeff * * H@materials C@materials" in done.stdout
    assert sentence in done.stdout + done.stderr


def bonded(folder: Path) -> str:
    """Commands that read two bonded atoms of CO."""
    atoms = Atoms("CO", positions=[[5, 5, 5], [5, 5, 6.1]], cell=[10.0] * 3, pbc=True)
    text = start(folder, "a", atoms).replace("atom_style atomic", "atom_style bond\nbond_style zero")
    data = (folder / "a.data").read_text()
    data = data.replace("2 atoms", "2 atoms\n1 bonds\n1 bond types").replace("Atoms # atomic", "Atoms # bond")
    head, body = data.split("Atoms # bond")
    rows = [row.split() for row in body.split("\n") if row.strip()]
    lines = [" ".join([row[0], "1", *row[1:]]) for row in rows]
    (folder / "a.data").write_text(f"{head}Atoms # bond\n\n" + "\n".join(lines) + "\n\nBonds\n\n1 1 1 2\n")
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
            "units metal\natom_modify id no\nregion all block 0 5 0 5 0 5\ncreate_box 1 all\nmass 1 24\n"
            f"create_atoms 1 single 1 1 1\ncreate_atoms 1 single 3 1 1\n{PAIR}pair_coeff * * {MAGNESIUM}\n"
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


def refused(done, sentence: str) -> None:
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
    succeeded(run(folder, bonded(folder) + PAIR + COEFF + "special_bonds lj/coul 1 1 1\n" + MEASURE + record("co")))
    atoms = Atoms("CO", positions=[[5, 5, 5], [5, 5, 6.1]], cell=[10.0] * 3, pbc=True)
    assert_same(read(folder, "co"), ase_result(atoms, "surfaces"))


def test_refuses_a_damaged_file(folder):
    content = bytearray((folder / "mini.mliap").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "mini.mliap").write_bytes(content)
    refused(run(folder, start(folder, "a", primitive()) + PAIR), "is damaged: its checksum does not fit")


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


@pytest.mark.parametrize("load", ["mhff_lammps.load_model(lmp, 'mini.mliap')", "lammps.mliap.activate_mliappy(lmp)"])
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
    assert [float(lines[index]) for index in (0, 2)] == pytest.approx([expected] * 2, rel=0, abs=ENERGY_TOLERANCE)
    assert lines[1] == "exception Exception"
    assert "MHFFError: expected 'units metal' (eV, A, bar), got 'units real'" in done.stderr
    assert [line.split(" (")[0] for line in lines[3:]] == [
        "refused 'mini.mhff' is truncated or not a file of mhff compile --target lammps",
        "refused 'cut.mliap' is truncated or not a file of mhff compile --target lammps",
        "refused no file 'none': make one with mhff compile MODEL --target lammps -o none",
    ]


@pytest.fixture(scope="module")
def command_line_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The examples, with a file from the command line: beginning of a head's name, fewer elements."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    options = "--head surf --elements Mg,O,C --target lammps --form torchscript --dtype float64 -o mini.mliap"
    succeeded(run_mhff(folder, f"compile mini {options}"))
    return folder


def test_compiled_file_has_its_default_head(command_line_folder):
    coeff = "pair_coeff * * O O O O Mg\n"
    text = start(command_line_folder, "a", primitive()) + PAIR + coeff + MEASURE + record("default")
    output = succeeded(run(command_line_folder, text))
    assert "mhff: elements C O Mg; heads materials surfaces molecules (default surfaces)" in output
    assert_same(read(command_line_folder, "default"), ase_result(primitive(), "surfaces"))


@pytest.mark.parametrize("name", ["in.bulk", "in.co-on-mgo"])
def test_examples_run(command_line_folder, name):
    text = (command_line_folder / name).read_text()
    assert "ERROR" not in succeeded(run(command_line_folder, f"variable steps index 3\n{text}"))


@pytest.mark.filterwarnings("ignore:head .* was not trained on")
def test_python_example_prints_every_heads_energy(command_line_folder):
    atoms = ase.io.read(command_line_folder / "co-on-mgo.data", format="lammps-data", units="metal", atom_style="atomic")
    output = succeeded(run_python(command_line_folder, (command_line_folder / "heads.py").read_text()))
    rows = [line.split() for line in output.splitlines() if line.endswith("eV")]
    assert [name for name, *_ in rows] == list(HEADS)
    printed = [float(energy) for _, energy, _ in rows]
    assert printed == pytest.approx([ase_result(atoms, head).energy for head in HEADS], abs=1e-6)
