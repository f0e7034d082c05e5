"""AOTInductor: the traced graph as native code in a `.pt2` package, for any numbers of atoms, ghosts and edges."""

from __future__ import annotations

import logging
import shutil
import tempfile
import warnings
from pathlib import Path

import torch
from torch.fx import GraphModule
from torch.fx.experimental import _config as fx_config

from mhff.errors import MHFFError
from mhff_deploy.artefact import NATIVE


def compile_aoti(program: GraphModule, example: tuple[torch.Tensor, ...], isa: str = NATIVE) -> bytes:
    """Content of the `.pt2` package of a traced program (`mhff_deploy.trace`); takes tens of seconds.

    `isa`: instruction set (`artefact.ISAS`). Raises MHFFError where there is no C++ compiler.
    """
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        raise MHFFError(
            "compiling to AOTInductor needs a C++ compiler and found neither g++ nor clang++; "
            "install one (Debian: apt-get install g++), or choose --form torchscript"
        )
    edges, atoms, local, plan = (torch.export.Dim(name, min=0) for name in ("n_edges", "n_all", "n_local", "n_plan"))
    shapes = ({0: edges}, {1: edges}, {0: atoms}, {0: local}, {0: plan}, {0: atoms})
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        with fx_config.patch(use_duck_shape=False):  # type: ignore[attr-defined]  # installed at import
            exported = torch.export.export(program, example, dynamic_shapes=shapes)
        path = torch._inductor.aoti_compile_and_package(
            exported, package_path=str(Path(folder) / "program.pt2"), inductor_configs=_PORTABLE if isa != NATIVE else {}
        )
        return Path(path).read_bytes()


_PORTABLE = {"cpp.march": "x86-64-v3", "cpp.simdlen": 256}


class _quiet:  # noqa: N801 - used as a statement
    """Keep the compiler's own notes off the user's screen while it works."""

    def __enter__(self) -> None:
        self.loggers = [logging.getLogger(name) for name in ("torch._inductor", "torch.export", "torch.fx")]
        self.levels = [logger.level for logger in self.loggers]
        for logger in self.loggers:
            logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        for logger, level in zip(self.loggers, self.levels, strict=True):
            logger.setLevel(level)
