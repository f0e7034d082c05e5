"""Artefacts: a compiled program and its manifest in one file, and how they run.

`content.py` defines the file's content, `compatibility.py` refuses artefacts that do not fit the
machine or the request, `runtime.py` runs them, `scripts.py` makes modules of them for engines
without Python, `describe.py` describes them without running them. Knows nothing of lowering or
compilers, so artefacts run without either.
"""
