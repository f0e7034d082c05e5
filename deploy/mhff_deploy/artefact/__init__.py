"""Artefacts: a compiled program and its manifest in one file, and how they run.

`content.py` says what a file holds, `runtime.py` runs it, `describe.py` tells what it is without
running it. Knows nothing of lowering or compilers, so artefacts run without either.
"""
