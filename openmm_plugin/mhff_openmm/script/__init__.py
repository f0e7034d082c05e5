"""One step as a TorchScript program, which OpenMM runs without Python: `step.py`.

`neighbours.py` is its neighbour search. TorchScript reads the source of these modules: they use
only what it knows.
"""
