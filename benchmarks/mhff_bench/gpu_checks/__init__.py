"""Programs that compare Triton's kernels, and networks that run them, with plain torch in float64.

They run on a GPU (`benchmarks/gpu.py`) or in Triton's interpreter (`tests/unit/ops/test_gpu.py`).
Each is a process of its own, because TRITON_INTERPRET must be set before Triton is imported.
"""
