"""Pairwise covering arrays: few rows in which every allowed pair of option values occurs."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Pair = frozenset[tuple[str, Any]]


def pairs(row: Mapping[str, Any]) -> set[Pair]:
    """All pairs of (option, value) in a row."""
    return {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}


def covering_array(
    options: Mapping[str, Sequence[Any]],
    allowed: Callable[[Row], bool],
    seed: int = 0,
    candidates: int = 30,
) -> list[Row]:
    """Rows that cover every pair of option values that an allowed row can hold; reproducible.

    `allowed` judges rows with any subset of the options; a row that it refuses must stay refused
    when options are added. Greedy: each new row is the best of some random ones that start from a
    pair not yet covered.
    """
    generator = random.Random(seed)
    everything = [(option, value) for option, values in options.items() for value in values]
    wanted = [
        frozenset(pair)
        for pair in itertools.combinations(everything, 2)
        if pair[0][0] != pair[1][0]
    ]
    missing = dict.fromkeys(pair for pair in wanted if allowed(dict(pair)))
    rows: list[Row] = []
    while missing:
        start = dict(next(iter(missing)))
        found = [
            row
            for _ in range(candidates)
            if (row := _complete(start, options, allowed, missing, generator))
        ]
        if found:
            rows.append(max(found, key=lambda row: sum(pair in missing for pair in pairs(row))))
            for pair in pairs(rows[-1]):
                missing.pop(pair, None)
        else:
            del missing[frozenset(start.items())]  # no allowed row has this pair
    return rows


def _complete(
    start: Row,
    options: Mapping[str, Sequence[Any]],
    allowed: Callable[[Row], bool],
    missing: Mapping[Pair, None],
    generator: random.Random,
) -> Row | None:
    row = dict(start)
    open_options = [option for option in options if option not in row]
    generator.shuffle(open_options)
    for option in open_options:
        values = [value for value in options[option] if allowed({**row, option: value})]
        if not values:
            return None
        generator.shuffle(values)
        row[option] = max(
            values,
            key=lambda value: sum(
                frozenset({(option, value), item}) in missing for item in row.items()
            ),
        )
    return {option: row[option] for option in options}
