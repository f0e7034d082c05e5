"""Models of several architectures and their TorchScript programs, made once for all these tests."""

from __future__ import annotations

import pytest
from models import random_model
from programs import artefact as new_artefact

from mhff import Model

ARCHITECTURES = (
    "mp",
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("mh1", "density", "omol")),
)


@pytest.fixture(scope="session", params=ARCHITECTURES)
def model(request: pytest.FixtureRequest) -> Model:
    return random_model(request.param)


@pytest.fixture(scope="session")
def artefact(model: Model) -> bytes:
    content, _ = new_artefact(model, head="surfaces", precision="float64", form="torchscript")
    return content
