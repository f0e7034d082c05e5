"""Kernels in Triton for NVIDIA GPUs, specialised for the shapes of one model: mhff writes their
code, Triton compiles it.

One program of Triton works for one atom (or a few) and some of the channels, alone, in a fixed
order: sums are the same in every run. `tests/unit/ops/test_gpu.py` runs the kernels without a GPU,
in Triton's interpreter. Triton itself is needed only where a program for a GPU is made, so nothing
here imports it before `module.load`.
"""
