"""Kernels in Triton for NVIDIA GPUs: mhff writes their code for the shapes of one model.

One Triton program treats one atom (or a few) and some of the channels, alone and in a fixed order,
so sums are the same in every run. `tests/unit/ops/test_gpu.py` runs the kernels without a GPU,
in Triton's interpreter. Triton itself is needed only where a program for a GPU is made, so nothing
here imports it before `module.load`.
"""
