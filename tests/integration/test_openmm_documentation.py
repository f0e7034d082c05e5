"""docs/openmm.md: its scripts run, and its tables have the sentences that the code has."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openmm
import pytest
from openmm import app, unit

from mhff_openmm import HeadEnergies
from mhff_openmm.demo import water_ring
from mhff_openmm.systems import system_of
from mhff_openmm.theory.samples import columns

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "openmm.md").read_text()
TABLES = PAGE[PAGE.index("## What errors mean") : PAGE.index("## Speed")]
IN_SHORT = {
    '"mini", head': '"mini", form="eager", head',
    '"mini", path': '"mini", form="eager", path',
    'modelPath="mini"': 'modelPath="mini", form="eager"',
    "step(1000)": "step(2)",
    "range(0, 101, 5)": "range(0, 101, 50)",
    "step(100)": "step(1)",
    '"heads.csv", 100': '"heads.csv", 1',
    "step(100_000)": "step(2)",
    "padding=1.2": "padding=0.8",
    "nonbondedMethod=app.PME": "nonbondedMethod=app.PME, nonbondedCutoff=0.6",
    "maxIterations=100": "maxIterations=1",
}
"""Eager models, few steps, little water."""
NOT_OURS = (
    "got an unexpected keyword argument",
    "Called setParameter() with invalid parameter name",
    "A barostat cannot be used with a non-periodic system",
    "Particle coordinate is NaN",
    "Energy is NaN",
    "KeyError: 'mhff'",
    "Unknown builtin op: mhff_",
)
"""Messages of Python, OpenMM and openmm-ml."""
SOURCES = sorted((ROOT / "openmm_plugin" / "mhff_openmm").rglob("*.py"))
SEED = 12
VALUE = "..."


def script() -> str:
    """All blocks of Python on the page, one after the other."""
    blocks = re.findall(r"\n\n((?:    .*\n|\n(?=    ))+)", PAGE)
    python = [block for block in blocks if not block.startswith("    pip install")]
    return "\n".join(re.sub(r"(?m)^    ", "", block) for block in python)


def in_short(text: str) -> str:
    for long, short in IN_SHORT.items():
        assert long in text, f"the page no longer says {long}"
        text = text.replace(long, short)
    return text


def write_inputs(folder: Path) -> None:
    atoms = water_ring()
    _, topology = system_of(atoms, "HOH", 3)
    with (folder / "water.pdb").open("w") as stream:
        app.PDBFile.writeFile(topology, atoms.positions * unit.angstrom, stream)
    shutil.copy(ROOT / "examples" / "openmm" / "alanine-dipeptide.pdb", folder)


def write_overlapping_frames(path: Path) -> None:
    """A file as the reporter wrote it, of a longer run whose theories overlap."""
    heads = HeadEnergies.read(path).heads
    energies = np.random.default_rng(SEED).normal(size=(200, len(heads)))
    samples = HeadEnergies.sampled(energies, heads, "molecules")
    lines = [columns(heads), *samples.rows()]
    path.write_text("".join(",".join(map(str, line)) + "\n" for line in lines))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_scripts_run(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    before, mark, after = in_short(script()).partition("result = reweight(")
    names: dict[str, Any] = {}
    exec(before, names)
    assert HeadEnergies.read("heads.csv").steps.tolist() == [4, 5]
    write_overlapping_frames(tmp_path / "heads.csv")
    exec(mark + after, names)
    assert names["read_system"]("system.xml").getNumForces() == names["system"].getNumForces()
    assert capsys.readouterr().out.count("kJ/mol") >= 5


def test_bonds_without_force_make_molecules() -> None:
    """What the page says of OpenMM."""
    system = openmm.System()
    for _ in range(3):
        system.addParticle(1.0)
    bonds = openmm.HarmonicBondForce()
    bonds.addBond(0, 1, 0.1, 0.0)
    system.addForce(bonds)
    context = openmm.Context(system, openmm.VerletIntegrator(0.001))
    assert sorted(map(sorted, context.getMolecules())) == [[0, 1], [2]]


def messages() -> list[str]:
    """The messages in the first columns of the tables."""
    rows = [line.split(" | ")[0] for line in TABLES.splitlines() if line.startswith("| ")]
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def strings(path: Path) -> Iterator[str]:
    """The literal texts of a module, with `...` for the values in them."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield literal(node)


def literal(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(literal(part) for part in node.values)
    return VALUE


def same(message: str, sentence: str) -> bool:
    """Whether the parts of a message between its values stand in a sentence in this order."""
    parts = [part.strip(" '") for part in message.split(VALUE)]
    return re.search(".*".join(map(re.escape, parts)), sentence, re.DOTALL) is not None


@pytest.mark.parametrize("message", messages())
def test_messages_of_the_tables_exist(message: str) -> None:
    if message in NOT_OURS:
        return
    folders = ("mhff", "deploy/mhff_deploy", "openmm_plugin/mhff_openmm")
    modules = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert any(same(message, text) for path in modules for text in strings(path)), message


def refusals() -> Iterator[str]:
    """The sentences of the MHFFErrors of mhff_openmm that are written where they are raised."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "MHFFError":
                sentence = literal(node.args[0])
                if sentence != VALUE:
                    yield sentence


@pytest.mark.parametrize("sentence", sorted(set(refusals())))
def test_every_refusal_is_in_the_tables(sentence: str) -> None:
    assert any(same(message, sentence) for message in messages()), "add it to docs/openmm.md"
