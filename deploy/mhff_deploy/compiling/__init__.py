"""From a model to a program, checked and packed into an artefact.

`lower.py` makes a lowered network, with kernels and tables where possible; `trace.py` records
energies and edge gradients as one graph; `aoti.py` and `torchscript.py` compile it; `build.py` ties
the steps together; `verify.py` compares the program with the eager model; `cache.py` builds each
program only once. May import `lowering`, `kernels` and `artefact`.
"""
