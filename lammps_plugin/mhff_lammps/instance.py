"""The LAMMPS instance behind the data that LAMMPS hands over, and what must be so in it.

ML-IAP gives a model no way to the instance, which is needed for atom IDs and settings. But the data
object holds a pointer to a C++ object of class MLIAPData, whose words are

    0: its table of virtual functions    1: the instance    2, 3, 4, ...: addresses of the instance's members, in order

These words are compared with this pattern, and only then is the instance asked for its version and
numbers of atoms.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from mhff.errors import MHFFError

SUPPORTED = 20260704
"""Version of LAMMPS whose layout of objects is known."""
POINTER_OFFSET = object.__basicsize__
"""Where in the Python object the pointer to the C++ object is, bytes."""
WORD = ctypes.sizeof(ctypes.c_void_p)
COMPARED_MEMBERS = 6


class Instances:
    """Handles of instances that were found; making one takes as long as a small evaluation, so they
    are kept.
    """

    def __init__(self) -> None:
        self._pointer, self._handle = 0, None

    def find(self, data: Any) -> Any:
        """The `lammps.lammps` object of the instance that `data` comes from; MHFFError if this
        LAMMPS is not supported.
        """
        pointer = _instance_pointer(data)
        if pointer != self._pointer:
            handle = _handle(pointer)
            if handle.version() != SUPPORTED:
                raise _unsupported(f"version {handle.version()}")
            self._pointer, self._handle = pointer, handle
        return self._handle


def _instance_pointer(data: Any) -> int:
    """Address of the instance, from words that belong to `data` and its C++ object only."""
    if type(data).__name__ != "MLIAPDataPy" or type(data).__basicsize__ != POINTER_OFFSET + WORD:
        raise _unsupported(
            f"one whose data has the type {type(data).__module__}.{type(data).__name__}"
        )
    address = ctypes.c_void_p.from_address(id(data) + POINTER_OFFSET).value or 0
    if not address:
        raise _unsupported("one whose data is empty")
    table, instance, *members = (ctypes.c_size_t * (2 + COMPARED_MEMBERS)).from_address(address)
    if (
        not table
        or not instance
        or members != [instance + WORD * index for index in range(COMPARED_MEMBERS)]
    ):
        raise _unsupported("one whose objects have another layout")
    return instance


def _handle(pointer: int) -> Any:
    try:
        from lammps import lammps
    except ImportError as error:
        raise MHFFError(
            f"mhff needs the Python module 'lammps' of the LAMMPS that runs, and {sys.prefix} has "
            f"none ({error}); "
            "install it with 'make install-python' where LAMMPS was built, or with 'make lammps' "
            "of mhff"
        ) from error
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype, new_capsule.argtypes = (
        ctypes.py_object,
        [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
    )
    return lammps(ptr=new_capsule(pointer, None, None))


def _unsupported(got: str) -> MHFFError:
    return MHFFError(
        f"expected LAMMPS version {SUPPORTED}, got {got}; use that version, "
        "or drive this one from Python with mhff_lammps.load_model, which needs to know less of it"
    )
