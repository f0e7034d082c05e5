"""Loading a compiled file from Python, for scripts that drive LAMMPS."""

from __future__ import annotations

import io
import os
import pickle
import sys
from pathlib import Path
from typing import Any

from mhff.errors import MHFFError
from mhff_lammps.model import MHFFModel


class _ModelUnpickler(pickle.Unpickler):
    """Reads only `MHFFModel`, so that a file of another origin cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) != (MHFFModel.__module__, MHFFModel.__qualname__):
            raise pickle.UnpicklingError(f"it holds {module}.{name}")
        return MHFFModel


def read_model(file: str | os.PathLike[str]) -> MHFFModel:
    """The model in a file of `mhff compile --target lammps`; MHFFError for any other file."""
    path = Path(file)
    if not path.is_file():
        raise MHFFError(
            f"no file '{path}': make one with mhff compile MODEL --target lammps -o {path}"
        )
    try:
        model = _ModelUnpickler(io.BytesIO(path.read_bytes())).load()
    except MHFFError:
        raise
    except Exception as error:  # a foreign file can make pickle raise anything
        raise MHFFError(
            f"'{path}' is truncated or not a file of mhff compile --target lammps ({error}); "
            "compile it again"
        ) from error
    if not isinstance(model, MHFFModel):
        raise MHFFError(f"'{path}' is not a file of mhff compile --target lammps; compile one")
    return model


def load_model(lmp: Any, file: str | os.PathLike[str]) -> MHFFModel:
    """Load a compiled file into a `lammps.lammps` instance: `pair_style mliap unified EXISTS 0`.

    LAMMPS keeps one such model for all instances, so issue `pair_style` before loading the next.
    After this call, file names work in `pair_style mliap unified`, too. Raises MHFFError for a file
    that `mhff compile --target lammps` did not write.
    """
    model = read_model(file)
    try:
        from lammps import mliap
    except ImportError as error:
        raise MHFFError(
            f"mhff needs the Python module 'lammps' with ML-IAP ({error}); mhff's 'make lammps' "
            "builds it"
        ) from error
    model.lammps = lmp
    if lmp.extract_setting("kokkos_active"):
        if "mliap_unified_couple_kokkos" not in sys.modules:
            mliap.activate_mliappy_kokkos(lmp)
        mliap.load_unified_kokkos(model)
        return model
    if "mliap_unified_couple" not in sys.modules:
        mliap.activate_mliappy(lmp)
    mliap.load_unified(model)
    return model
