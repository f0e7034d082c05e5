"""Results as ASE keeps them.

With one head they are in a `SinglePointCalculator`. With several heads each has its own, under the
names that data sets with several levels of theory use: `info["<head>_energy"]`,
`arrays["<head>_forces"]`, `info["<head>_stress"]` and `arrays["<head>_energies"]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.singlepoint import SinglePointCalculator

from mhff.errors import MHFFError
from mhff.many.evaluation import Outcome, Prediction
from mhff.many.items import Item, Unusable

TROUBLE_KEY = "mhff_error"
"""Key by which `atoms.info` says why a structure could not be computed."""
PER_ATOM = ("energies", "forces")
GEOMETRY = {
    "numbers": attrgetter("numbers"),
    "positions": attrgetter("positions"),
    "cell": attrgetter("cell.array"),
    "pbc": attrgetter("pbc"),
}
"""What results depend on, by the names of ASE."""


class Computed(SinglePointCalculator):
    """ASE's calculator of known results, made and asked in a tenth of the time.

    ASE's own copies the whole structure, and compares all of it whenever it is asked, which takes
    as long as half of a small molecule's evaluation. This one keeps what results depend on.
    """

    def __init__(self, atoms: Atoms, results: dict[str, Any]) -> None:
        Calculator.__init__(self)
        self.results = results
        self._geometry = {name: getter(atoms).copy() for name, getter in GEOMETRY.items()}

    @property
    def atoms(self) -> Atoms:
        """The structure that the results belong to."""
        return Atoms(**self._geometry)

    @atoms.setter
    def atoms(self, atoms: Atoms | None) -> None:
        """Nothing: ASE's constructor sets no structure."""

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What of the structure has changed since."""
        return [
            name
            for name, getter in GEOMETRY.items()
            if not np.array_equal(self._geometry[name], getter(atoms))
        ]


class NotComputed(Computed):
    """Stands for results that could not be computed: asking for them raises the MHFFError."""

    def __init__(self, atoms: Atoms, trouble: str) -> None:
        super().__init__(atoms, {})
        self.trouble = trouble

    def get_property(self, name: str, atoms: Any = None, allow_calculation: bool = True) -> Any:
        """Raises MHFFError, or returns None where no calculation is allowed."""
        if not allow_calculation:
            return None
        raise MHFFError(self.trouble)


class Results:
    """Puts outcomes on structures."""

    def __init__(self, names: Sequence[str], asked: Sequence[str]) -> None:
        """`names` of all heads of the model; `asked`: of those that are computed, if several."""
        self.names = names
        self.asked = asked

    def on(self, group: Sequence[Item | Unusable], outcome: Outcome | None) -> Iterator[Atoms]:
        """The structures of a group in their order, with what became of them.

        `outcome` is that of the items among them; None if there are none.
        """
        number = 0
        begin = 0
        for item in group:
            if isinstance(item, Unusable):
                yield _not_computed(item, item.trouble)
                continue
            if outcome is None:
                raise ValueError("expected the outcome of the structures that can be evaluated")
            end = begin + item.n_atoms
            if number in outcome.troubles:
                yield _not_computed(item, outcome.troubles[number])
            else:
                yield self._computed(item, outcome, number, slice(begin, end))
            number += 1
            begin = end

    def _computed(self, item: Item, outcome: Outcome, number: int, rows: slice) -> Atoms:
        atoms = item.atoms
        atoms.info.pop(TROUBLE_KEY, None)
        totals = outcome.head_energies[number].tolist()
        values = [_values(prediction, number, rows) for prediction in outcome.predictions]
        for head, results in zip(self.asked, values, strict=False):
            for name, value in results.items():
                kept = atoms.arrays if name in PER_ATOM else atoms.info
                kept[f"{head}_{name}"] = value
        known = {"head_energies": dict(zip(self.names, totals, strict=True))}
        if not self.asked:
            known |= values[0] | {"free_energy": values[0]["energy"]}
        atoms.calc = Computed(atoms, known)
        return atoms


def _values(prediction: Prediction, number: int, rows: slice) -> dict[str, Any]:
    """One structure's results by their names in ASE."""
    values: dict[str, Any] = {"energy": float(prediction.energy[number])}
    if prediction.energies is not None:
        values["energies"] = prediction.energies[rows].copy()
    if prediction.forces is not None:
        values["forces"] = prediction.forces[rows].copy()
    if prediction.stress is not None and not np.isnan(prediction.stress[number, 0]):
        values["stress"] = prediction.stress[number].copy()
    return values


def _not_computed(item: Item | Unusable, trouble: str) -> Atoms:
    atoms = item.atoms
    sentence = f"{item.place}: {trouble}"
    atoms.info[TROUBLE_KEY] = sentence
    atoms.calc = NotComputed(atoms, sentence)
    return atoms
