"""Settings of the optimiser, the schedule and the run: presets, and mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from mhff.errors import MHFFError
from mhff.train.sections.optimiser import OptimiserSettings
from mhff.train.settings import Settings, read_settings

MINIMAL = {"heads": {"a": {"files": ["x"]}}}


def test_a_preset_has_its_own_defaults() -> None:
    assert OptimiserSettings().learning_rate == 0.01
    tuned = OptimiserSettings.model_validate({"preset": "fine_tuning", "ema_decay": 0.9})
    assert (tuned.learning_rate, tuned.ema_decay, tuned.weight_decay) == (1e-4, 0.9, 5e-7)
    assert OptimiserSettings.model_validate(tuned.model_dump()) == tuned


def test_fine_tuning_has_its_preset() -> None:
    started = {**MINIMAL, "start_from": "mini"}
    assert Settings.model_validate(started).optimiser.preset == "fine_tuning"
    assert Settings.model_validate(started).optimiser.learning_rate == 1e-4
    own = Settings.model_validate({**started, "optimiser": {"learning_rate": 1e-3}}).optimiser
    assert (own.learning_rate, own.ema_decay) == (1e-3, 0.99999)
    scratch = {**started, "optimiser": {"preset": "from_scratch"}}
    assert Settings.model_validate(scratch).optimiser == OptimiserSettings()
    assert Settings.model_validate(MINIMAL).optimiser == OptimiserSettings()


@pytest.mark.parametrize(
    ("section", "content", "sentence"),
    [
        ("optimiser", {"preset": "fast"}, "preset: input should be 'from_scratch' or 'fine_tun"),
        ("optimiser", {"preset": ["fast"]}, "preset: input should be 'from_scratch' or 'fine_tun"),
        ("optimiser", {"kind": "sgd"}, "kind: input should be 'adamw' or 'adam', got 'sgd'"),
        ("optimiser", {"learning_rate": 0}, "learning_rate: input should be greater than 0, got"),
        ("optimiser", {"gradient_clip": 0}, "gradient_clip: input should be greater than 0, got"),
        ("optimiser", {"ema_decay": 1}, "ema_decay: input should be less than 1, got 1"),
        ("optimiser", {"weight_decay": -1}, "weight_decay: input should be greater than or equal"),
        ("optimiser", {"warm_up": 1}, "unknown key optimiser.warm_up; "),
        ("optimiser", 3, "optimiser: input should be a valid dictionary"),
        ("schedule", {"kind": "step"}, "kind: input should be 'cosine', 'plateau' or 'constant'"),
        ("schedule", {"patience": 3}, "schedule: kind: cosine has no patience; remove them, or"),
        ("schedule", {"kind": "plateau", "factor": 1}, "factor: input should be less than 1, got"),
        ("schedule", {"warm_up": -1}, "warm_up: input should be greater than or equal to 0, got"),
        ("run", {"dtype": "float16"}, "dtype: input should be 'float32', 'float64' or 'mixed'"),
        ("run", {"accumulate": 0}, "accumulate: input should be greater than or equal to 1, got"),
        ("run", {"sampling_temperature": 0.5}, "sampling_temperature: input should be greater"),
        ("run", {"patience": 0}, "patience: input should be greater than or equal to 1, got 0"),
        ("run", {"checkpoint_minutes": -1}, "checkpoint_minutes: input should be greater than or"),
        ("heads", {"a": {"files": ["x"], "repeats": 0}}, "a.repeats: input should be greater than"),
    ],
)
def test_mistakes(tmp_path: Path, section: str, content: Any, sentence: str) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({**MINIMAL, section: content}))
    with pytest.raises(MHFFError) as caught:
        read_settings(tmp_path / "config.yaml")
    assert sentence in str(caught.value)
