"""Evaluate structures with a model: comparisons of every label with its prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress

from mhff.atoms import species_indices
from mhff.data.batch import Batch
from mhff.data.reading import LabelledStructure
from mhff.errors import MHFFError, listing, located
from mhff.evaluate.errors import Comparison, compare
from mhff.evaluate.prediction import predict
from mhff.evaluator import Evaluator
from mhff.heads import HEAD_KEY
from mhff.many.compute import Job
from mhff.many.evaluation import Request
from mhff.many.long import expect, in_parts
from mhff.many.parts import PART, parts_of
from mhff.many.results import TROUBLE_KEY

BATCH_SIZE = 8


def evaluate_batches(evaluator: Evaluator, batches: Iterable[Batch]) -> list[Comparison]:
    """Comparisons, in order, of the structures of batches made for the evaluator."""
    can = evaluator.capabilities
    comparisons: list[Comparison] = []
    for batch in batches:
        moved = batch.to(can.device, can.dtype)
        prediction = predict(evaluator.evaluate, moved, len(can.heads))
        comparisons += compare(prediction, batch, can.heads.names)
    return comparisons


def evaluate_structures(
    evaluator: Evaluator, structures: Sequence[LabelledStructure], head: str | None = None
) -> list[Comparison]:
    """Comparisons of all structures that are not isolated atoms; see `comparisons_of`."""
    return list(comparisons_of(evaluator, structures, head, workers=0))


def comparisons_of(
    evaluator: Evaluator,
    structures: Sequence[LabelledStructure],
    head: str | None = None,
    workers: int | None = None,
) -> Iterator[Comparison]:
    """Comparisons, in order, of all structures that are not isolated atoms.

    Each is evaluated with `head`, else with the head it names itself, else with the evaluator's
    default head or only head. Structures are read and computed part by part, by `workers`
    processes, by default one per core or GPU. Raises MHFFError, naming the structure, for a
    structure without a head, and for heads, elements, geometries, charges and spins that the model
    cannot take.
    """
    chosen = [structure for structure in structures if not structure.is_isolated_atom]
    if not chosen:
        raise MHFFError("expected structures to evaluate, got only isolated atoms; give other data")
    compared = PartOfLabels(evaluator, chosen, head)
    expect(evaluator, [each.atoms for each in chosen[:PART]], len(chosen))
    found = in_parts(compared, parts_of(len(chosen)), evaluator.capabilities.device, workers)
    return chain.from_iterable(found)


@dataclass
class PartOfLabels:
    """The function of a part of labelled structures; worker processes hold copies."""

    evaluator: Evaluator
    structures: Sequence[LabelledStructure]
    head: str | None
    """Head of all structures, if one is given."""

    def __call__(self, numbers: range) -> list[Comparison]:
        """Read and compute the structures of these numbers, and compare."""
        loaded = [self.structures[number].load() for number in numbers]
        heads = [self._head(structure) for structure in loaded]
        job = Job(
            self.evaluator,
            Request(),
            head=None,
            place=lambda index: loaded[index].place,
            say=lambda sentence: None,  # errors speak for themselves
        )
        found = job.run(map(_with_head, loaded, heads), 0)
        return [
            self._compared(structure, head, atoms)
            for structure, head, atoms in zip(loaded, heads, found, strict=True)
        ]

    def _head(self, structure: LabelledStructure) -> str:
        """The head of a structure; labels belong to no mix."""
        can = self.evaluator.capabilities
        names = can.heads.names
        only = names[0] if len(names) == 1 else None
        default = can.default_head if can.default_head in names else None
        chosen = self.head or structure.head or default or only
        if chosen is None:
            raise MHFFError(
                f"{structure.place} does not say which head it belongs to: choose one of "
                f"{listing(names)} with --head"
            )
        with located(structure.place):
            can.heads.index(chosen)
        return chosen

    def _compared(self, structure: LabelledStructure, head: str, atoms: Atoms) -> Comparison:
        if TROUBLE_KEY in atoms.info:
            raise MHFFError(atoms.info[TROUBLE_KEY])
        results = atoms.calc.results
        elements = self.evaluator.capabilities.elements
        stress = results.get("stress")
        energy, forces, labelled = structure.energy, structure.forces, structure.stress
        return Comparison(
            head=head,
            config_type=structure.config_type,
            species=species_indices(atoms.get_chemical_symbols(), elements).numpy(),
            energy=None if energy is None else (energy, results["energy"]),
            forces=None if forces is None else (forces, results["forces"]),
            stress=None
            if labelled is None or stress is None
            else (labelled, voigt_6_to_full_3x3_stress(stress)),
        )


def _with_head(structure: LabelledStructure, head: str) -> Atoms:
    """The structure's atoms, which name their head."""
    atoms = structure.atoms.copy()
    atoms.info[HEAD_KEY] = head
    return atoms
