"""Compiled programs for tests: built for one test, or taken from the cache."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mhff.modelfile import Model, load
from mhff.options import CompileOptions
from mhff_deploy.artefact.content import Manifest
from mhff_deploy.compiling.build import build
from mhff_deploy.compiling.cache import compiled


def options(**asked: Any) -> CompileOptions:
    """Options from plain words, as `precision="float64"` and `form="torchscript"`."""
    return CompileOptions.model_validate(asked)


def artefact(model: Model, target: str = "test", **asked: Any) -> tuple[bytes, Manifest]:
    """A new artefact and its manifest."""
    return build(model, options(**asked), target)


def cached(model: str | os.PathLike[str] | Model, **asked: Any) -> Path:
    """The path of a program in the compile cache."""
    return compiled(model if isinstance(model, Model) else load(model), options(**asked))
