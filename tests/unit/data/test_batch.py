"""Batches against the structures in them."""

from __future__ import annotations

from pathlib import Path

import torch
from labelled import write_data

from mhff.data.batch import sample
from mhff.data.loading import in_batches
from mhff.data.reading import read_structures
from mhff.model.config import ModelConfig

MODEL = ModelConfig(elements=("H", "O"), r_max=3.0)


def test_batches_hold_every_sample_once(tmp_path: Path) -> None:
    structures = [
        item
        for item in read_structures(write_data(tmp_path, "loose", 5))
        if not item.is_isolated_atom
    ]
    batches = list(in_batches([sample(item, MODEL) for item in structures], 2))
    assert [batch.graph.n_structures for batch in batches] == [2, 2, 1]
    assert torch.equal(
        torch.cat([batch.energy for batch in batches]),
        torch.tensor([s.energy for s in structures], dtype=torch.float64),
    )
    assert [kind for batch in batches for kind in batch.config_types] == ["cell"] * 5
