"""Units, head weights and warnings of one step in OpenMM, with an evaluator of springs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import units as ase_units

from mhff import MHFFError
from mhff.capabilities import Capabilities
from mhff.evaluator import Evaluator
from mhff.graph import Graph
from mhff.heads import Head, Heads
from mhff.options import Precision
from mhff_openmm.adapter import ANGSTROM_PER_NM, KJ_PER_MOL_PER_EV, Adapter

CODATA = 2e-8
"""Relative; ase.units and openmm.unit use different issues of CODATA."""
SPRING = 3.0
"""Energy of a pair per squared distance, eV/A^2."""


class Springs(Evaluator):
    """Half of SPRING d^2 for each end of a pair, times the number of the head."""

    def __init__(self) -> None:
        heads = Heads([Head(name="one", elements=("H", "O")), Head(name="two", elements=("H",))])
        self.capabilities = Capabilities(
            heads=heads,
            elements=("H", "O"),
            r_max=2.0,
            n_layers=1,
            precision=Precision.FLOAT64,
        )

    def evaluate(
        self, graph: Graph, head_weights: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        factor = torch.tensor([1.0, 2.0], dtype=torch.float64)
        vectors = graph.edge_vectors
        halves = 0.5 * SPRING * (vectors**2).sum(1)
        energies = torch.zeros(len(head_weights), dtype=torch.float64)
        energies.index_add_(0, graph.edge_index[1], halves)
        weight = (head_weights * factor).sum(1).index_select(0, graph.edge_index[1])
        return energies[:, None] * factor, SPRING * vectors * weight[:, None]


def test_factors_are_those_of_the_field() -> None:
    assert pytest.approx(ase_units.mol / ase_units.kJ, rel=CODATA) == KJ_PER_MOL_PER_EV
    assert pytest.approx(ase_units.nm, rel=CODATA) == ANGSTROM_PER_NM


def adapter(symbols: str = "HH") -> Adapter:
    return Adapter(Springs(), list(symbols), (0.0, 1.0), skin=1.0)


PAIR = np.array([[0.0, 0, 0], [0, 0, 0.15]])
"""Two atoms 1.5 A apart, nm."""


@pytest.mark.parametrize("box", [None, (0.5 * np.eye(3)).tolist()])
def test_energy_and_forces_in_openmms_units(box: list[list[float]] | None) -> None:
    energy, forces = adapter().evaluate(PAIR, box, (1.0, 0.0))
    assert energy == pytest.approx(SPRING * 1.5**2 * KJ_PER_MOL_PER_EV)
    pull = 2 * SPRING * 1.5 * KJ_PER_MOL_PER_EV * ANGSTROM_PER_NM
    np.testing.assert_allclose(forces, [[0, 0, pull], [0, 0, -pull]], rtol=1e-14)


def test_head_weights_belong_to_the_step() -> None:
    shared = adapter()
    one, two, mix = ((1.0, 0.0), (0.0, 1.0), (-0.5, 2.0))
    energies = [shared.evaluate(PAIR, None, row)[0] for row in (one, two, one, mix)]
    assert energies == pytest.approx([energies[0] * factor for factor in (1, 2, 1, 3.5)])


def test_a_head_warns_once_of_elements_it_was_not_trained_on(
    recwarn: pytest.WarningsRecorder,
) -> None:
    shared = adapter("HO")
    shared.evaluate(PAIR, None, (1.0, 0.0))
    assert not recwarn.list
    for _ in range(2):
        shared.evaluate(PAIR, None, (0.5, 0.5))
    assert [str(warning.message) for warning in recwarn.list] == [
        "head 'two' was not trained on O; its predictions for these elements are extrapolations"
    ]


def test_another_number_of_particles_is_refused() -> None:
    with pytest.raises(MHFFError, match="was made for 2 particles, but OpenMM passed 3"):
        adapter().evaluate(np.zeros((3, 3)), None, (1.0, 0.0))
