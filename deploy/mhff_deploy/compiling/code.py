"""Compiled code, kept by what it is made of.

Code depends on the architecture alone: weights are constants beside it, and tables are inputs. So a
file of this cache is named by the checksum of the traced graph, of the shapes of its constants, of
the options and of the machine, but of no weight. A fine-tune, or another member of a committee, is
traced and finds its code here. AOTInductor by itself would write small constants into the code;
`aoti.compile_aoti` forbids it. Every program is compared with its own model afterwards
(`verify.py`), wherever its code came from.
"""

from __future__ import annotations

import io
import json
import platform
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.fx import GraphModule

from mhff.files import read_file, sha256, write_atomically
from mhff.ops.cpu.levels import instructions
from mhff_deploy.artefact.compatibility import processor

SUFFIX = "pt2"


def kept_code(
    program: GraphModule,
    options: Mapping[str, Any],
    folder: Path,
    compiled: Callable[[], bytes],
) -> bytes:
    """The code of a traced program, from a folder or made by `compiled`."""
    parts = {
        "graph": program.code,
        "constants": {name: _form(getattr(program, name)) for name in constant_names(program)},
        "options": {name: repr(value) for name, value in sorted(options.items())},
        "torch": torch.__version__,
        "machine": [platform.machine(), processor("cpu"), instructions()],
    }
    path = folder / f"{sha256(json.dumps(parts, sort_keys=True).encode())[:32]}.{SUFFIX}"
    if path.is_file():
        content = read_file(path)
        if _is_whole(content):
            return content
    content = compiled()
    write_atomically(path, content)
    return content


def constant_names(program: GraphModule) -> list[str]:
    """Names of the constants of a traced program."""
    return sorted({str(node.target) for node in program.graph.nodes if node.op == "get_attr"})


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
