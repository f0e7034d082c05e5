"""Many structures at once: `mhff.compute`, and what `mhff compute` and `mhff eval` stand on.

Structures of any size and periodicity are laid side by side (`stacks.py`), as many as a memory
bound allows (`filling.py`), evaluated as one graph (`evaluation.py`), in worker processes where
there are several cores or GPUs (`processes.py`), and get their results as ASE keeps them
(`results.py`). A structure that cannot be computed keeps the sentence that says why; the others do
not notice.
"""
