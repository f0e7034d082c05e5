"""Refusal of results without enough overlap between what was sampled and what is asked for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.special import lambertw

from mhff.errors import MHFFError, listing
from mhff_openmm.reweighting.multistate import Multistate

MIN_OVERLAP = 0.03
"""Smallest overlap of two sampled theories that connects them.

Klimovich, Shirts and Mobley, J. Comput.-Aided Mol. Des. 29, 397, 2015.
"""
MIN_MARGIN = 1.0
"""Smallest `margin` of a theory.

Wu and Kofke ask for 0.5. With normally distributed energy differences, 19 of 20 free energies lie
within three standard errors at 1.0, at 0.5 only 9 of 10, and below most are wrong.
"""
MIN_EFFECTIVE_SAMPLES = 10
"""Smallest effective number of frames of a theory."""


def check_touching(energies: np.ndarray, counts: Sequence[int], names: Sequence[str]) -> None:
    """Raise MHFFError if some sampled theories have no configurations at all in common.

    `energies [n_states, n_frames]`, kT, as in `Multistate`, which would search for long. Theories
    touch if the energy difference takes values among the frames of one that it also takes among
    those of the other (Bennett, J. Comput. Phys. 22, 245, 1976).
    """
    own = _slices(counts)
    touch = np.zeros((len(counts), len(counts)))
    for first, second in itertools.combinations(range(len(counts)), 2):
        work = energies[second] - energies[first]
        touch[first, second] = work[own[second]].max() - work[own[first]].min()
        touch[second, first] = touch[first, second]
    pair = _unconnected(touch, 0.0)
    if pair is not None:
        raise MHFFError(
            f"the sampled theories '{names[pair[0]]}' and '{names[pair[1]]}' share no "
            f"configurations: their energy differences are {-touch[pair]:.3g} kT apart; sample "
            "theories between them"
        )


def check_windows(overlaps: np.ndarray, names: Sequence[str]) -> None:
    """Raise MHFFError unless the sampled theories are all connected by their overlaps."""
    mutual = np.minimum(overlaps, overlaps.T)
    pair = _unconnected(mutual, MIN_OVERLAP)
    if pair is not None:
        raise MHFFError(
            f"the sampled theories '{names[pair[0]]}' and '{names[pair[1]]}' share too few "
            f"configurations: their overlap is {mutual[pair]:.2g}, expected at least "
            f"{MIN_OVERLAP}; sample theories between them"
        )


def _unconnected(closeness: np.ndarray, threshold: float) -> tuple[int, int] | None:
    """The closest two theories of different groups, if those closer than a threshold form groups.

    `closeness [n, n]` of theories; None if there is a way from each to each.
    """
    n_groups, groups = connected_components(closeness >= threshold, directed=False)
    if n_groups == 1:
        return None
    between = np.where(groups[:, None] == groups[None, :], -np.inf, closeness)
    return divmod(int(between.argmax()), len(closeness))


def check_targets(
    states: Multistate, counts: Sequence[int], names: Sequence[str], targets: Sequence[str]
) -> None:
    """Raise MHFFError if the frames say too little of a target.

    `counts`: number of frames of each sampled theory; `names` of all theories, the sampled first.
    """
    poor = {}
    for state in (names.index(target) for target in targets):
        reach = margin(states, counts, state)
        effective = states.effective_samples[state]
        if reach < MIN_MARGIN or effective < MIN_EFFECTIVE_SAMPLES:
            poor[names[state]] = f"the margin {reach:.2g} and {effective:.1f} effective samples"
    if not poor:
        return
    name = next(iter(poor))
    rest = [other for other in targets if other not in poor]
    raise MHFFError(
        f"the frames overlap too little with '{name}' to say anything of it: expected a margin "
        f"(Wu and Kofke) of at least {MIN_MARGIN:g} and {MIN_EFFECTIVE_SAMPLES} effective samples, "
        f"got {poor[name]}; sample theories on the way to '{name}' (path= of add_mhff_force), or "
        f"give only targets that overlap: {listing(rest)}"
    )


def margin(states: Multistate, counts: Sequence[int], state: int) -> float:
    """How far the sampling reaches beyond what a state needs, from the best sampled state.

    Reweighting needs frames in the tail of what was sampled, more rarely seen the larger the
    relative entropy s is. N frames reach it if sqrt(W((N - 1)^2 / 2 pi)) - sqrt(2 s) is positive,
    with Lambert's function W (Wu and Kofke, J. Chem. Phys. 123, 054103, 2005, where both relative
    entropies are equal). Unlike the effective sample size, this does not depend on the luck of
    having found the tail.
    """
    margins = []
    for sampled, own in enumerate(_slices(counts)):
        work = states.energies[state, own] - states.energies[sampled, own]
        entropy = max(float(work.mean()) - float(states.differences[sampled, state]), 0.0)
        reach = float(lambertw((counts[sampled] - 1) ** 2 / (2 * np.pi)).real)
        margins.append(np.sqrt(reach) - np.sqrt(2 * entropy))
    return float(max(margins))


def _slices(counts: Sequence[int]) -> list[slice]:
    """The frames of each sampled theory."""
    ends = itertools.accumulate(counts)
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
