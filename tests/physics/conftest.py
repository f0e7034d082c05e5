"""The physics suite runs on every architecture of `models.CONFIGS`."""

from __future__ import annotations

import pytest
from models import CONFIGS, random_model

from mhff.modelfile import Model


@pytest.fixture(scope="session", params=sorted(CONFIGS))
def model(request: pytest.FixtureRequest) -> Model:
    """A tiny model with random weights."""
    return random_model(request.param)
