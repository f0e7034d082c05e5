"""Warnings of heads that are used for elements they were not trained on, each given once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from mhff.capabilities import Capabilities
from mhff.heads import OnceOnly
from mhff.many.stacks import Stack


class Extrapolations:
    """The elements that each head has been used for."""

    def __init__(self, can: Capabilities, heads: Sequence[str], say: Callable[[str], None]) -> None:
        """`heads`: those that are used for every structure, if several are."""
        self.can = can
        self.say = say
        self._always = np.zeros(len(can.heads), dtype=bool)
        for head in heads:
            self._always |= can.head_row(head).numpy() != 0
        self._known = np.zeros((len(can.elements), len(can.heads)), dtype=bool)
        self._once = OnceOnly()

    def warn(self, stack: Stack) -> None:
        """Say what the stack uses for the first time."""
        uses = np.zeros_like(self._known)
        for column, is_used in enumerate((stack.head_weights != 0).T | self._always[:, None]):
            uses[stack.species[is_used], column] = True
        fresh = uses & ~self._known
        if not fresh.any():
            return
        self._known |= fresh
        elements, columns = np.nonzero(fresh)
        weights = torch.eye(len(self.can.heads), dtype=torch.float64)[torch.from_numpy(columns)]
        symbols = [self.can.elements[index] for index in elements.tolist()]
        for sentence in self._once.new(self.can.heads.extrapolations(weights, symbols)):
            self.say(sentence)
