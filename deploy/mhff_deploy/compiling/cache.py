"""The compile cache: a calculator or an adapter that is given a model compiles it once.

A file's name is the checksum of everything that its content depends on: model, options, torch, this
package's source and the processor. So a cache never needs to be cleared for correctness, and a home
folder that several machines share is safe.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from mhff.devices import resolve_device
from mhff.errors import MHFFError
from mhff.files import artefact_folder, in_turn, read_file, sha256, write_atomically
from mhff.modelfile import Model
from mhff.ops.cpu.levels import instructions
from mhff.options import CompileOptions, CompleteOptions, Form
from mhff_deploy.artefact.compatibility import processor
from mhff_deploy.artefact.content import read_manifest
from mhff_deploy.compiling.build import build, complete
from mhff_deploy.compiling.lower import MAX_TABLE_BYTES
from mhff_deploy.compiling.source import source_checksum
from mhff_deploy.radial.networks import RadialNetworks

SUFFIX = {Form.AOTI: "pt2", Form.TORCHSCRIPT: "pt"}
TARGET = "cache"
"""The target in the manifests of cached programs."""


def find_program(
    model: Model,
    options: CompileOptions,
    used: Sequence[str] = (),
    folder: Path | None = None,
) -> Path | None:
    """Path of a model's program in the cache, or None if it is not there or not whole.

    It knows all elements of the model. A program for a GPU, which holds its tables, knows at least
    `used` where tables for all would be too large.
    """
    path = _path(model, _for_elements(model, options, used), folder)
    return path if _is_whole(path) else None


def compiled(
    model: Model,
    options: CompileOptions,
    used: Sequence[str] = (),
    say: Callable[[str], None] = lambda step: None,
    folder: Path | None = None,
) -> Path:
    """Path of a model's program in the cache, compiled now if need be; see `find_program`."""
    asked = _for_elements(model, options, used)
    path = _path(model, asked, folder)
    if _is_whole(path):
        return path
    with in_turn(path, lambda: say("waiting for another process that compiles it")):
        if not _is_whole(path):
            content, _ = build(model, asked, TARGET, say)
            write_atomically(path, content)
    return path


def _for_elements(model: Model, options: CompileOptions, used: Sequence[str]) -> CompleteOptions:
    """The options with every choice made, for few elements where it must be (`find_program`)."""
    asked = complete(options)
    if asked.elements is not None or not used or resolve_device(asked.device).type == "cpu":
        return asked
    if RadialNetworks(model.network).table_bytes(len(model.elements)) > MAX_TABLE_BYTES:
        few = tuple(symbol for symbol in model.elements if symbol in set(used))
        return asked.model_copy(update={"elements": few})
    return asked


def _is_whole(path: Path) -> bool:
    """Whether a program is there and undamaged; a damaged one is made again."""
    if not path.exists():
        return False
    try:
        read_manifest(read_file(path), path)
    except MHFFError:
        return False
    return True


def _path(model: Model, options: CompleteOptions, folder: Path | None) -> Path:
    suffix = SUFFIX[options.form]
    return (folder or artefact_folder()) / f"{_key(model, options)}.{suffix}"


def _key(model: Model, options: CompleteOptions) -> str:
    on_any = {"device": torch.device(options.device).type}  # GPUs of a kind share a program
    parts = {
        "model": sha256(model.to_bytes()),
        "options": options.model_dump(mode="json") | on_any,
        "torch": torch.__version__,
        "source": source_checksum(),
        "machine": [platform.machine(), processor(options.device), instructions()],
    }
    return sha256(json.dumps(parts, sort_keys=True).encode())[:32]
