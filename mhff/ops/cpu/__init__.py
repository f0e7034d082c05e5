"""Kernels in C++ for CPUs, compiled for the shapes of one model by the machine's own compiler."""
