"""Compiled code, kept by what it is made of.

Code depends on the architecture alone: weights are constants beside it, and tables are inputs. So
its file is named by the checksum of the traced graph, of the shapes of its constants, of the
options and of the machine, but of no weight. AOTInductor by itself would write small constants into
the code; `aoti.options_for` forbids it.

To know the graph of a model, it must be traced, which takes seconds. So a second file, named by the
checksum of the architecture and of this package's source, says which code it has and how its
constants are made (`recipe.py`). A fine-tuned model, or another member of a committee, finds both.
Every program is compared with its own model afterwards (`verify.py`), wherever its code came from.
"""

from __future__ import annotations

import io
import json
import platform
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict
from torch.fx import GraphModule

from mhff.errors import MHFFError
from mhff.files import read_file, sha256, write_atomically
from mhff.ops.cpu.levels import instructions
from mhff.options import CompleteOptions
from mhff_deploy.artefact.compatibility import processor
from mhff_deploy.compiling.lower import Lowered
from mhff_deploy.compiling.recipe import Recipe, constant_names
from mhff_deploy.compiling.source import source_checksum

CODE = "{}.pt2"
"""Name of a file of code."""
ARCHITECTURE = "{}.json"
"""Name of a file of what is known of an architecture."""


class Known(BaseModel):
    """What is known of an architecture once a program was made of one of its models."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    """Name of its code (`code_name`)."""
    code_sha256: str
    recipe: Recipe


class Found(NamedTuple):
    """The code of a known architecture, and how its constants are made."""

    code: bytes
    recipe: Recipe


def architecture_name(lowered: Lowered, options: CompleteOptions) -> str:
    """Name of an architecture: a checksum of everything but weights that its code depends on."""
    return _name(
        {
            "architecture": lowered.architecture,
            "tables": lowered.radial is not None,
            "kernels": "" if lowered.kernels is None else lowered.kernels.namespace,
            "options": [options.form, options.isa, options.precision],
            "source": source_checksum(),
        }
    )


def find_known(name: str, folder: Path) -> Found | None:
    """What is known of an architecture, if both of its files are there and undamaged."""
    try:
        text = read_file(folder / ARCHITECTURE.format(name)).decode()
        content, _, checksum = text.rpartition("\n")
        if sha256(content.encode()) != checksum:
            return None
        known = Known.model_validate_json(content)
        code = read_file(folder / CODE.format(known.code))
    except (MHFFError, ValueError):
        return None
    return Found(code, known.recipe) if sha256(code) == known.code_sha256 else None


def keep_known(name: str, known: Known, folder: Path) -> None:
    """Write what is known of an architecture, and in the last line the checksum of the others."""
    content = json.dumps(known.model_dump(), indent=1)
    file = f"{content}\n{sha256(content.encode())}"
    write_atomically(folder / ARCHITECTURE.format(name), file.encode())


def code_name(program: GraphModule, options: Mapping[str, Any]) -> str:
    """A name made of the checksum of a traced program without its weights, and of the options."""
    return _name(
        {
            "graph": program.code,
            "constants": {name: _form(getattr(program, name)) for name in constant_names(program)},
            "options": {name: repr(value) for name, value in sorted(options.items())},
        }
    )


def kept_code(name: str, folder: Path, compiled: Callable[[], bytes]) -> bytes:
    """The code of a name, from a folder or made by `compiled`."""
    path = folder / CODE.format(name)
    content = read_file(path) if path.is_file() else b""
    if not _is_whole(content):
        content = compiled()
        write_atomically(path, content)
    return content


def _name(parts: Mapping[str, Any]) -> str:
    """Checksum of some parts, of torch and of the machine."""
    machine = [platform.machine(), processor("cpu"), instructions()]
    every = {**parts, "torch": torch.__version__, "machine": machine}
    return sha256(json.dumps(every, sort_keys=True).encode())[:32]


def _form(value: torch.Tensor) -> list[str]:
    """All that code knows of a constant."""
    return [str(value.dtype), str(list(value.shape)), str(value.device)]


def _is_whole(content: bytes) -> bool:
    """Whether a package is undamaged; a damaged one is made again."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.testzip() is None
    except Exception:  # a damaged archive can make zipfile and zlib raise anything
        return False
