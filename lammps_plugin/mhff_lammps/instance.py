"""Finding the LAMMPS instance behind the data that LAMMPS hands over.

The adapter needs the instance for atom IDs and settings, but ML-IAP gives a model no way to it. The
data object holds a pointer to a C++ object, from which the way leads to one that is derived from
LAMMPS' class Pointers. Such an object begins with these words:

    0          the table of virtual functions
    1          the address of the instance
    2, 3, ...  the addresses of the instance's members, in order

In the ordinary coupling the C++ object is itself of this kind (MLIAPData). In that of KOKKOS it is
a MLIAPDataKokkosDevice, which begins with integers that Python can read, too, and holds a pointer
to its pair style, which is of this kind. All words and integers are compared with what is expected
before the instance is asked for its version.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

from mhff.errors import MHFFError

SUPPORTED_VERSION = 20260704
"""The version of LAMMPS whose object layout is known."""
POINTER_OFFSET = object.__basicsize__
"""Position of the pointer to the C++ object in the Python object, bytes."""
WORD = ctypes.sizeof(ctypes.c_void_p)
N_COMPARED_MEMBERS = 6
KOKKOS_INTEGERS = {
    20: "ndescriptors",
    32: "ntotal",
    33: "nlistatoms",
    34: "nlocal",
    35: "natomneigh",
    45: "npairs",
    56: "eflag",
    57: "vflag",
}
"""Attributes of the data by their position, in integers, in KOKKOS' C++ object."""
KOKKOS_PAIR = 232
"""Position of the pointer to the pair style in that object, bytes."""


class Instances:
    """Finds instances and keeps the last; making a handle costs as much as a small evaluation."""

    def __init__(self) -> None:
        self._pointer = 0
        self._handle: Any = None

    def find(self, data: Any) -> Any:
        """The `lammps.lammps` object of the instance that `data` comes from.

        Raises MHFFError if this version of LAMMPS is not supported.
        """
        pointer = _instance_pointer(data)
        if pointer != self._pointer:
            handle = _handle(pointer)
            if handle.version() != SUPPORTED_VERSION:
                raise _unsupported(f"version {handle.version()}")
            self._pointer = pointer
            self._handle = handle
        return self._handle


def is_kokkos(data: Any) -> bool:
    """Whether `data` belongs to the coupling of LAMMPS' KOKKOS package."""
    return "kokkos" in type(data).__module__


def _instance_pointer(data: Any) -> int:
    """Address of the instance; reads only memory that belongs to `data` and its C++ object."""
    if type(data).__name__ != "MLIAPDataPy" or type(data).__basicsize__ != POINTER_OFFSET + WORD:
        raise _unsupported(f"data of type {type(data).__module__}.{type(data).__name__}")
    address = _word(id(data) + POINTER_OFFSET)
    if not address:
        raise _unsupported("data without a C++ object")
    if is_kokkos(data):
        address = _pair_of_kokkos(data, address)
    table, instance, *members = (ctypes.c_size_t * (2 + N_COMPARED_MEMBERS)).from_address(address)
    expected = [instance + WORD * index for index in range(N_COMPARED_MEMBERS)]
    if not table or not instance or members != expected:
        raise _unsupported("objects of another layout")
    return instance


def _pair_of_kokkos(data: Any, address: int) -> int:
    """Address of the pair style behind the data of the KOKKOS coupling."""
    integers = (ctypes.c_int * (KOKKOS_PAIR // ctypes.sizeof(ctypes.c_int))).from_address(address)
    for position, name in KOKKOS_INTEGERS.items():
        if integers[position] != getattr(data, name):
            raise _unsupported("KOKKOS data of another layout")
    pair = _word(address + KOKKOS_PAIR)
    if not pair:
        raise _unsupported("KOKKOS data without a pair style")
    return pair


def _word(address: int) -> int:
    return ctypes.c_void_p.from_address(address).value or 0


def _handle(pointer: int) -> Any:
    try:
        from lammps import lammps
    except ImportError as error:
        raise MHFFError(
            f"mhff needs the Python module 'lammps' of the LAMMPS that runs, and {sys.prefix} has "
            f"none ({error}); install it with 'make install-python' where LAMMPS was built, or "
            "with 'make lammps' of mhff"
        ) from error
    new_capsule = ctypes.pythonapi.PyCapsule_New
    new_capsule.restype = ctypes.py_object
    new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return lammps(ptr=new_capsule(pointer, None, None))


def _unsupported(got: str) -> MHFFError:
    return MHFFError(
        f"expected LAMMPS version {SUPPORTED_VERSION}, got {got}; use that version, or "
        "mhff_lammps.load_model from Python, which does not depend on the LAMMPS version"
    )
