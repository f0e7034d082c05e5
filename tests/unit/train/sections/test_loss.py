"""Mistakes in the weights and the kind of the loss."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mhff.errors import MHFFError
from mhff.train.settings import read_settings


@pytest.mark.parametrize(
    ("loss", "head", "sentence"),
    [
        ({"kind": "hubr"}, {}, "loss.kind: input should be 'huber', 'universal' or 'squared', got"),
        ({"delta": 0}, {}, "loss.delta: input should be greater than 0, got 0"),
        ({"energy": -1}, {}, "loss.energy: input should be greater than or equal to 0, got -1"),
        ({}, {"loss": {"forces": -1}}, "heads.a.loss.forces: input should be greater than or"),
        ({}, {"loss": {"delta": 1}}, "unknown key heads.a.loss.delta; the keys there are energy,"),
        ({}, {"config_weights": {"slab": -2}}, "heads.a.config_weights.slab: input should be"),
        ({}, {"config_weights": 2}, "heads.a.config_weights: input should be a valid dictionary"),
    ],
)
def test_mistakes(
    tmp_path: Path, loss: dict[str, Any], head: dict[str, Any], sentence: str
) -> None:
    content = {"heads": {"a": {"files": ["x"], **head}}, "loss": loss}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(MHFFError) as caught:
        read_settings(tmp_path / "config.yaml")
    assert sentence in str(caught.value)
