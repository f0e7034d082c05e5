"""What kernels for CPUs need on a machine; importable without torch."""

COMPILER = "g++"
MIN_COMPILER = 10
"""The first version of the compiler that knows C++20."""
STABLE_TORCH = (2, 11)
"""The first version whose stable interface lets tensors use memory that we allocate.

Older ones are used through their C++ interface, each by a library of its own.
"""
