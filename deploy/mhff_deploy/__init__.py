"""A trained model becomes a program: lower, trace, compile, check, pack, run.

`lowering/` turns the trained network into an equivalent one that is quicker to run, `kernels/`
gives it operators in C++ or Triton, `compiling/` traces and compiles it and ties the steps together
(`build.py`), `artefact/` says what a file holds and runs it. `filekind.py` and `cli.py` are what
mhff's core and its users meet. May import `mhff`; knows no engine.
"""
