"""The compile cache: a calculator or an adapter that is given a model compiles it once.

A file's name is the checksum of everything its content depends on: model, options, torch, this
package's source and the processor. So a cache never needs to be cleared for correctness, and a home
shared by several machines is safe.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import torch

from mhff.files import artefact_folder, sha256, write_atomically
from mhff.modelfile import Model, load
from mhff_deploy.artefact.content import Form
from mhff_deploy.compiling.build import build
from mhff_deploy.compiling.targets import AOTI, TORCHSCRIPT
from mhff_deploy.lowering.lower import LARGEST_TABLES, table_bytes


def compiled(
    source: str | os.PathLike[str] | Model,
    device: str = "cpu",
    dtype: str = "float32",
    form: Form = "aoti",
    folder: Path | None = None,
    progress: Callable[[str], None] = lambda step: None,
    elements: Sequence[str] = (),
) -> Path:
    """Path of the artefact of a model (file, bundled name or `Model`), compiled now if it is not in
    the cache.

    It knows all elements of the model, or at least `elements` where tables for all of them would be
    too large.
    """
    model = source if isinstance(source, Model) else load(source)
    few = tuple(elements) if elements and table_bytes(model.network) > LARGEST_TABLES else None
    path = (
        folder or artefact_folder()
    ) / f"{_key(model, device, dtype, form, few)}.{'pt2' if form == 'aoti' else 'pt'}"
    if not path.exists():
        target = AOTI if form == "aoti" else TORCHSCRIPT
        content, _ = build(
            model, target, elements=few, device=device, dtype=dtype, progress=progress
        )
        write_atomically(path, content)
    return path


def _key(
    model: Model, device: str, dtype: str, form: Form, elements: tuple[str, ...] | None
) -> str:
    parts = {
        "model": sha256(model.to_bytes()),
        "options": [device, dtype, form, elements],
        "torch": torch.__version__,
        "source": _source_checksum(),
        "machine": [
            platform.machine(),
            torch.backends.cpu.get_cpu_capability(),
            _accelerator(device),
        ],
    }
    return sha256(json.dumps(parts, sort_keys=True).encode())[:32]


def _accelerator(device: str) -> str:
    return "" if torch.device(device).type == "cpu" else torch.cuda.get_device_name(device)


@lru_cache(maxsize=1)
def _source_checksum() -> str:
    """Checksum of the code that decides what a program computes."""
    digest = hashlib.sha256()
    for folder in (
        Path(str(files("mhff"))) / "model",
        Path(str(files("mhff"))) / "ops",
        Path(str(files("mhff_deploy"))),
    ):
        for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.h")]):
            digest.update(path.read_bytes())
    return digest.hexdigest()
