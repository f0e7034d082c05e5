"""Reads the databases of psi4: Python files with geometries and energies, parsed, never run.

A file assigns geometries as text (`GEOS[name] = qcdb.Molecule(text)`), energies as numbers
(`BIND[name] = number`), and for reactions the lists of species and their coefficients
(`ACTV[name]`, `RXNM[name]`). Names are made with `%` from literals and the variable `dbse`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.units import Bohr

from mhff.errors import MHFFError
from mhff.files import read_file
from mhff_suite.physics.interaction import Complex
from mhff_suite.reactions import Reaction

PSI4_LICENCE = "LGPL-3.0 (psi4)"
GEOMETRIES = "GEOS"
SPECIES = "ACTV"
COEFFICIENTS = "RXNM"
ENERGIES = "BIND"
ATOM_LINE = re.compile(r"^\s*@?([A-Za-z]{1,2})\s+(\S+)\s+(\S+)\s+(\S+)\s*$")
STATE_LINE = re.compile(r"^\s*([+-]?\d+)\s+(\d+)\s*$")


class Database:
    """The assignments of a file that matter here."""

    def __init__(self, path: Path) -> None:
        text = read_file(path).decode("utf-8", "replace")
        self._path = path
        self._tree = ast.parse(text)
        self.name = self._assigned_text("dbse")
        self.molecules = {
            name: fragments(value.args[0].value)
            for name, value in self._items(GEOMETRIES)
            if isinstance(value, ast.Call)
            and value.args
            and isinstance(value.args[0], ast.Constant)
            and isinstance(value.args[0].value, str)
        }
        self.energies = self._energies()

    def _assigned_text(self, variable: str) -> str:
        for target, value in self._assignments():
            named = isinstance(target, ast.Name) and target.id == variable
            if named and isinstance(value, ast.Constant):
                return str(value.value)
        raise MHFFError(f"'{self._path}' is not a database of psi4: it does not assign {variable}")

    def _assignments(self) -> Iterator[tuple[ast.expr, ast.expr]]:
        for node in self._tree.body:
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                yield node.targets[0], node.value

    def _items(self, table: str) -> Iterator[tuple[str, ast.expr]]:
        """Names and values that are assigned to a table one by one."""
        for target, value in self._assignments():
            if (
                isinstance(target, ast.Subscript)
                and isinstance(target.value, ast.Name)
                and target.value.id == table
            ):
                yield self._text(target.slice), value

    def _text(self, node: ast.expr) -> str:
        """A string made from literals and the name of the database."""
        if isinstance(node, ast.Constant):
            return str(node.value)
        if isinstance(node, ast.Name) and node.id == "dbse":
            return self.name
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
            parts = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
            return self._text(node.left) % tuple(self._text(part) for part in parts)
        raise MHFFError(f"cannot read '{self._path}', line {node.lineno}: expected a name")

    def _energies(self) -> dict[str, float]:
        """Reference energies, kcal/mol; of several tables the one that the file chooses."""
        chosen = ENERGIES
        for target, value in self._assignments():
            named = isinstance(target, ast.Name) and target.id == ENERGIES
            if named and isinstance(value, ast.Name):
                chosen = value.id
        return {name: float(ast.literal_eval(value)) for name, value in self._items(chosen)}

    def reactions(self) -> list[Reaction]:
        """The reactions, with their species in the order of their coefficients."""
        species = {
            name: [self._text(each) for each in value.elts]
            for name, value in self._items(SPECIES)
            if isinstance(value, ast.List)
        }
        coefficients = {
            name: ast.literal_eval(value.args[0].args[1])
            for name, value in self._items(COEFFICIENTS)
            if isinstance(value, ast.Call) and isinstance(value.args[0], ast.Call)
        }
        return [
            Reaction(
                name,
                tuple(joined(self.molecules[each]) for each in species[name]),
                tuple(coefficients[name]),
                self.energies[name],
            )
            for name in coefficients
        ]


def complexes(path: Path) -> list[Complex]:
    """The complexes of two molecules in a file, with their interaction energies."""
    database = Database(path)
    found = []
    for name, reference in database.energies.items():
        parts = database.molecules.get(f"{name}-dimer")
        if parts is not None and len(parts) == 2:
            label = name.removeprefix(f"{database.name}-")
            found.append(Complex(label, joined(parts), (parts[0], parts[1]), reference))
    return found


def fragments(text: str) -> tuple[Atoms, ...]:
    """The molecules of a geometry: symbols and positions, charge and multiplicity of each."""
    unit = Bohr if re.search(r"units\s+(bohr|au)", text, re.IGNORECASE) else 1.0
    found = []
    for part in text.split("--"):
        atoms = [match.groups() for line in part.splitlines() if (match := ATOM_LINE.match(line))]
        states = [match for line in part.splitlines() if (match := STATE_LINE.match(line))]
        symbols = [symbol.capitalize() for symbol, *_ in atoms]
        positions = [[unit * float(each) for each in place] for _, *place in atoms]
        charge, multiplicity = (int(each) for each in states[0].groups()) if states else (0, 1)
        info = {"charge": charge, "spin": multiplicity}
        found.append(Atoms(symbols, positions, info=info))
    return tuple(found)


def joined(parts: tuple[Atoms, ...]) -> Atoms:
    """Molecules side by side: charges add up, and unpaired electrons do."""
    whole = Atoms()
    for part in parts:
        whole += part
    whole.info = {
        "charge": sum(part.info["charge"] for part in parts),
        "spin": 1 + sum(part.info["spin"] - 1 for part in parts),
    }
    return whole
