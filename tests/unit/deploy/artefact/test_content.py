"""Claims of a manifest that no honest program makes are refused, whatever its checksum says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from manifests import manifest
from pydantic import ValidationError

from mhff_deploy.artefact.content import Manifest

Fields = dict[str, Any]


def nested(levels: int) -> Fields:
    value: Fields = {}
    for _ in range(levels):
        value = {"a": value}
    return value


CHANGES: dict[str, Callable[[Fields], object]] = {
    "other units": lambda fields: fields["units"].update(energy="kcal/mol"),
    "deep provenance": lambda fields: fields["provenance"].update(nested(480)),
    "a tiny cutoff": lambda fields: fields["capabilities"].update(r_max=1e-300),
    "heads with control characters": lambda fields: fields["capabilities"]["heads"][0].update(
        name="\x1b[2J"
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_false_claims_are_refused(name: str) -> None:
    fields = manifest().model_dump(mode="json")
    Manifest.model_validate(fields)
    CHANGES[name](fields)
    with pytest.raises(ValidationError):
        Manifest.model_validate(fields)
