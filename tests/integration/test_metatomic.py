"""The bundled model in metatomic's own ASE calculator: kernels, heads as variants, the docs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from calculators import exact
from command_line import output_of, run_mhff
from metatensor.torch import Labels
from metatomic.torch import ModelOutput, load_atomistic_model, read_model_metadata
from metatomic.torch.heat_flux import HeatFlux
from metatomic_ase import MetatomicCalculator
from metatomic_systems import differentiable_system
from structures import one_atom, slab, triclinic, water_cluster
from tolerances import OF_TABLES, SINGLE_PRECISION, assert_close, assert_close_to_scale

from mhff.atoms import graph_from_atoms
from mhff.engines import folder_beside
from mhff.evaluator import EagerEvaluator
from mhff.model import derivatives
from mhff.modelfile import load

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metatomic.md").read_text()
HEADS = ("materials", "molecules", "surfaces")
WITHOUT_MHFF = """
import sys
from ase.build import bulk
from metatomic_ase import MetatomicCalculator
model, extensions = sys.argv[1:]
crystal = bulk("MgO", "rocksalt", a=4.2)
crystal.calc = MetatomicCalculator(model, extensions_directory=extensions)
found = crystal.get_potential_energy()
assert not [name for name in sys.modules if name.startswith("mhff")]
from mhff import MHFFCalculator
crystal.calc = MHFFCalculator("mini", head="surfaces", dtype="float64", form="torchscript")
print(abs(crystal.get_potential_energy() - found) < 1e-9)
"""
"""The kernels are loaded by metatomic first, and then wanted by mhff."""


def crystal() -> Atoms:
    atoms = bulk("MgO", "rocksalt", a=4.2, cubic=True)
    atoms.rattle(0.05, seed=1)
    return atoms


STRUCTURES: tuple[Callable[[], Atoms], ...] = (crystal, triclinic, slab, water_cluster, one_atom)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model in float64, by default with the head `surfaces`."""
    return compiled(tmp_path_factory.mktemp("metatomic"), "--dtype", "float64")


def compiled(folder: Path, *options: str) -> Path:
    path = folder / "mini.pt"
    arguments = ("compile", "mini", "--head", "surf", "--target", "metatomic", "-o", path)
    output = output_of(run_mhff(*arguments, *options))
    assert f"wrote {path} and {folder_beside(str(path))}: metatomic" in output
    return path


def calculator(path: Path, head: str | None = None) -> MetatomicCalculator:
    return MetatomicCalculator(
        path,
        extensions_directory=folder_beside(str(path)),
        variants=None if head is None else {"energy": head},
        check_consistency=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_the_models_numbers(path: Path, head: str) -> None:
    ours = exact("mini", head)
    theirs = calculator(path, head)
    for structure in STRUCTURES:
        found = structure()
        expected = structure()
        found.calc = theirs
        expected.calc = ours
        assert_close(found.get_potential_energy(), expected.get_potential_energy(), OF_TABLES)
        assert_close(found.get_forces(), expected.get_forces(), OF_TABLES)
        assert_close(found.get_potential_energies(), expected.get_potential_energies(), OF_TABLES)
        if found.pbc.all():
            assert_close(found.get_stress(), expected.get_stress(), OF_TABLES)


@pytest.mark.slow
def test_the_default_head(path: Path) -> None:
    energies = []
    for calc in (calculator(path), calculator(path, "surfaces"), calculator(path, "materials")):
        atoms = crystal()
        atoms.calc = calc
        energies.append(atoms.get_potential_energy())
    assert energies[0] == energies[1] != energies[2]
    with pytest.raises(ValueError, match="variant 'dft' for output 'energy' not found"):
        calculator(path, "dft")


@pytest.mark.slow
def test_float32_and_a_mix(tmp_path: Path) -> None:
    path = compiled(tmp_path, "--mix", "half=0.5*materials+0.5*surfaces", "--isa", "x86-64-v3")
    found = crystal()
    expected = crystal()
    found.calc = calculator(path, "half")
    expected.calc = exact("mini", {"materials": 0.5, "surfaces": 0.5})
    assert_close_to_scale(
        found.get_potential_energy(), expected.get_potential_energy(), SINGLE_PRECISION
    )
    assert_close_to_scale(found.get_forces(), expected.get_forces(), SINGLE_PRECISION)


@pytest.mark.slow
def test_selected_atoms(path: Path) -> None:
    atoms = crystal()
    chosen = [1, 4, 5]
    selected = Labels(["system", "atom"], torch.tensor([[0, index] for index in chosen]))
    output = {"energy/molecules": ModelOutput(unit="eV", sample_kind="system")}
    found = calculator(path).run_model(atoms, output, selected)
    atoms.calc = exact("mini", "molecules")
    expected = atoms.get_potential_energies()[chosen].sum()
    assert_close(found["energy/molecules"].block().values, [[expected]], OF_TABLES)


@pytest.mark.slow
def test_forces_of_selected_atoms_pass_two_layers(path: Path) -> None:
    """Atoms that are not selected still send messages, and have forces."""
    from metatomic.torch import ModelEvaluationOptions
    from metatomic_ase._neighbors import AllNeighborsCalculator

    atoms = crystal()
    chosen = torch.tensor([1, 4, 5])
    model = load_atomistic_model(path, folder_beside(str(path)))
    system, positions = differentiable_system(atoms)
    lists = AllNeighborsCalculator(model.requested_neighbor_lists(), True)
    selected = Labels(["system", "atom"], torch.stack([torch.zeros(3, dtype=int), chosen], 1))
    outputs = {"energy": ModelOutput(unit="eV", sample_kind="atom")}
    options = ModelEvaluationOptions("angstrom", outputs, selected)
    model(lists.compute([system]), options, True)["energy"].block().values.sum().backward()

    evaluator = EagerEvaluator(load("mini"))
    can = evaluator.capabilities
    graph = graph_from_atoms(atoms, can.elements, can.r_max)
    weights = torch.zeros(len(atoms), len(HEADS), dtype=torch.float64)
    weights[chosen] = can.head_row("surfaces")
    _, gradients = evaluator.evaluate(graph, weights)
    expected = derivatives.forces(gradients, graph.edge_index, len(atoms))
    assert_close(-positions.grad, expected, OF_TABLES)


@pytest.mark.slow
def test_the_heat_flux_of_metatomic_is_not_a_number(path: Path) -> None:
    """It needs derivatives of single atoms' energies, which there are none of."""
    model = load_atomistic_model(path, folder_beside(str(path)))
    atoms = bulk("MgO", "rocksalt", a=4.2, cubic=True).repeat((3, 3, 3))
    atoms.set_momenta(np.random.default_rng(0).normal(size=(len(atoms), 3)))
    calc = MetatomicCalculator(HeatFlux.wrap(model).eval())
    found = calc.run_model(atoms, {"heat_flux": ModelOutput(sample_kind="system")})
    assert not found["heat_flux"].block().values.isfinite().any()


@pytest.mark.slow
def test_a_process_without_mhff(path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_MHFF, str(path), str(folder_beside(str(path)))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stdout + done.stderr


@pytest.mark.slow
def test_an_element_that_the_model_lacks(path: Path) -> None:
    silicon = bulk("Si")
    silicon.calc = calculator(path)
    with pytest.raises(ValueError, match="does not support the atomic type '14'"):
        silicon.get_potential_energy()


@pytest.mark.slow
def test_what_a_file_says_of_itself(path: Path) -> None:
    about = read_model_metadata(str(path))
    assert "materials: PBE" in about.description
    assert set(about.references) == {"architecture", "implementation", "model"}
    model = load_atomistic_model(path, folder_beside(str(path)))
    assert model.capabilities().interaction_range == 2 * load("mini").r_max


@pytest.mark.slow
def test_the_example_of_the_documentation(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path)
    shutil.copytree(folder_beside(str(path)), tmp_path / "mini.extensions")
    script = re.findall(r"\n\n((?:    .*\n|\n)+)", PAGE[PAGE.index("## ASE") :])[0]
    code = "\n".join(line[4:] for line in script.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(HEADS)
