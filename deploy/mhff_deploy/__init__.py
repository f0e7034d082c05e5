"""From a trained model to a program: lower, trace, compile, check, pack, run.

`radial/` has the radial networks and their tables, `lowering/` turns the trained network into an
equivalent one that is quicker to run, `kernels/` gives it operators in C++ or Triton, `compiling/`
traces and compiles it and ties the steps together (`build.py`), `artefact/` defines the file's
content and runs it. `filekind.py` is the interface to mhff's core, `cli.py` that to users. May
import `mhff`; knows no engine.
"""
