"""Energy curves of all pairs of elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mhff.errors import shortened
from mhff_suite.errors import curves, law, line, share
from mhff_suite.outcome import Curves, Outcome, Value
from mhff_suite.physics.diatomics import Curve, diatomic_curves, pairs_of
from mhff_suite.protocol import PHYSICAL_LAW, Domain, Setting, Task

POINTS = 80
MAX_POINTS = 400_000
"""Structures in all: a head that knows 89 elements has 4005 pairs."""
MIN_POINTS = 40
ENERGY_WINDOW = 12.0
"""Height of the figure, eV."""
MAX_DRAWN = 15
FORGIVEN = 5.0
"""Pairs that may go wrong, %: most pairs of elements never meet in the training data."""
LIMIT_TOLERANCE = 1e-6
"""eV."""


def run(setting: Setting) -> Outcome:
    """What part of the pairs behaves unphysically."""
    pairs = pairs_of(setting.elements)
    if setting.quick:
        pairs = [pair for pair in pairs if pair[0] == pair[1]]
    n_points = max(MIN_POINTS, min(POINTS, MAX_POINTS // len(pairs)))
    found = diatomic_curves(setting.potential, pairs, setting.r_max, n_points)
    farthest = max(found, key=lambda curve: curve.limit)
    return Outcome(
        values=(
            _part("pairs that attract when very close", found, lambda each: not each.is_repulsive),
            _part("pairs with several minima", found, lambda each: each.n_minima > 1),
            _part("pairs whose energy jumps", found, lambda each: each.n_jumps > 0),
            law(
                "largest energy beyond the cutoff",
                farthest.limit,
                "eV",
                LIMIT_TOLERANCE,
                f"{farthest.name} beyond the cutoff is not two isolated atoms",
            ),
        ),
        drawings=(_figure(found),),
    )


def _part(name: str, found: Sequence[Curve], is_wrong: Callable[[Curve], bool]) -> Value:
    """The percentage of curves with a fault."""
    wrong = [each.name for each in found if is_wrong(each)]
    sentence = f"{name}: {shortened(wrong, 8)}" if wrong else ""
    return share(name, wrong, len(found), sentence, FORGIVEN)


def _figure(found: Sequence[Curve]) -> Curves:
    chosen = found[:: max(1, len(found) // MAX_DRAWN)][:MAX_DRAWN]
    lines = [line(each.name, each.distances, each.energies) for each in chosen]
    drawing = curves("Energy of two atoms", "distance, A", "energy, eV", lines)
    lowest = min(float(each.energies.min()) for each in chosen)
    floor = max(lowest, -ENERGY_WINDOW) - 0.5
    return drawing.model_copy(update={"y_limits": (floor, floor + ENERGY_WINDOW)})


TASK = Task(
    name="diatomics",
    title="Two atoms of every pair of elements",
    domain=Domain.PHYSICS,
    reference=PHYSICAL_LAW,
    computes="Energy against distance: repulsive when close, one minimum, no jumps, zero beyond "
    "the cutoff.",
    run=run,
    cost=3.0,
)
