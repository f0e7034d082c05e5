"""Neighbours in a stack of structures.

A search for each structure costs more than the evaluation of a small molecule. So the pairs of all
small structures without periodic directions are listed at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mhff.errors import MHFFError
from mhff.many.stacks import Stack
from mhff.neighbours import MAX_COORDINATE, MIN_DISTANCE, neighbour_list

MAX_ATOMS = 64
"""A structure with more atoms has too many pairs to list them all."""


@dataclass(frozen=True)
class Edges:
    """The edges of a stack, sorted by receiver."""

    index: np.ndarray
    """`[2, E]`, as in `mhff.graph`."""
    vectors: np.ndarray
    """`[E, 3]`, A."""
    troubles: dict[int, str]
    """Why structures have no neighbour list, by their number in the stack; they have no edges."""


def edges_of(stack: Stack, r_max: float) -> Edges:
    """The edges shorter than `r_max`, A; see `mhff.neighbours.neighbour_list`."""
    at_once = _may_be_listed(stack)
    index, vectors, coincide = _listed(stack, at_once, r_max)
    one_by_one = ~at_once | coincide
    if not one_by_one.any():
        return Edges(index, vectors, {})
    found = [(index, vectors)]
    troubles = {}
    for number in np.flatnonzero(one_by_one).tolist():
        begin, end = stack.begins[number : number + 2]
        cell = stack.cells[number], stack.periodic[number]
        try:
            own, between = neighbour_list(stack.positions[begin:end], *cell, r_max)
        except MHFFError as error:
            troubles[number] = str(error)
            continue
        found.append((own + begin, between))
    index = np.concatenate([index for index, _ in found], axis=1)
    vectors = np.concatenate([vectors for _, vectors in found])
    order = np.argsort(index[1], kind="stable")
    return Edges(index.take(order, axis=1), vectors[order], troubles)


def _may_be_listed(stack: Stack) -> np.ndarray:
    """Structures whose pairs can be listed, `[S]`: small, open, and of numbers that can be."""
    sound = (np.abs(stack.positions) <= MAX_COORDINATE).all(1)  # false for NaN
    unsound = np.bincount(stack.structure[~sound], minlength=stack.n_structures) > 0
    is_open = ~stack.periodic.any(1) & np.isfinite(stack.cells).all((1, 2))
    return is_open & (stack.sizes <= MAX_ATOMS) & ~unsound


def _listed(
    stack: Stack, chosen: np.ndarray, r_max: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Index and vectors of edges of the chosen structures, and those in which atoms coincide.

    The latter, `[S]`, have no edges.
    """
    atoms = np.flatnonzero(chosen[stack.structure])
    structure = stack.structure[atoms]
    n_senders = stack.sizes[structure]
    receiver = np.repeat(atoms, n_senders)
    first = np.cumsum(n_senders) - n_senders  # among all pairs
    sender = np.arange(len(receiver)) + np.repeat(stack.begins[structure] - first, n_senders)
    vectors = stack.positions[receiver] - stack.positions[sender]
    squares = np.einsum("px,px->p", vectors, vectors)
    inside = (squares < r_max**2) & (receiver != sender)
    index = np.stack([sender[inside], receiver[inside]])
    too_close = index[1][squares[inside] < MIN_DISTANCE**2]
    coincide = np.zeros(stack.n_structures, dtype=bool)
    if not len(too_close):
        return index, vectors[inside], coincide
    coincide[stack.structure[too_close]] = True
    kept = np.flatnonzero(~coincide[stack.structure[index[1]]])
    return index.take(kept, axis=1), vectors[inside][kept], coincide
