"""A trained model becomes a program: lower, trace, compile, wrap with a manifest, run.

`lower.py` turns the training model into an equivalent one that is quicker to run; `trace.py`
records energies and gradients as one graph; `aoti.py` and `torchscript.py` compile that graph;
`artefact.py` says what a file holds; `build.py` ties them together and checks the result;
`runtime.py` runs artefacts; `cache.py` builds each only once. May import `mhff`; knows no engine.
"""
