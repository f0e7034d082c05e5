"""Manifests and artefacts with nothing in them that runs, for tests of what reads them."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import torch

from mhff.capabilities import Capabilities
from mhff.heads import Head, Heads
from mhff.modelfile import UNITS
from mhff.options import CompleteOptions, Form, Precision
from mhff_deploy.artefact.content import Manifest, Tables, pack

HEADS = Heads([Head(name="bulk"), Head(name="gas", elements=("H",))])
CODE = b"no program"
"""What stands for the program; nothing may try to run it."""


def manifest(
    *,
    options: dict[str, Any] | None = None,
    capabilities: dict[str, Any] | None = None,
    **changes: Any,
) -> Manifest:
    """A manifest for this machine, with changes of its fields, options or capabilities."""
    asked = {"head": "gas", "precision": Precision.FLOAT32, "form": Form.AOTI, "table_error": 1e-6}
    able = {
        "heads": HEADS,
        "elements": ("H", "O"),
        "r_max": 4.5,
        "n_layers": 2,
        "precision": Precision.FLOAT32,
        "default_head": "gas",
    }
    fields = {
        "target": "aoti",
        "options": CompleteOptions.model_validate(asked | (options or {})),
        "capabilities": Capabilities.model_validate(able | (capabilities or {})),
        "units": UNITS,
        "model_sha256": "c0ffee",
        "torch_version": torch.__version__,
        "mhff_version": "0.1.0",
        "processor": "DEFAULT",
        "tables": Tables(asked=1e-6),
    }
    return Manifest.model_validate(fields | changes)


def empty_artefact(of: Manifest | None = None) -> bytes:
    """An artefact whose program could not be loaded."""
    program = io.BytesIO()
    with zipfile.ZipFile(program, "w") as archive:
        archive.writestr("program/code", CODE)
    return pack(program.getvalue(), of or manifest(), {})
