"""Adapter for metatomic, the interface by which i-PI, eOn, GROMACS, LAMMPS and ASE call one model.

`mhff compile --target metatomic` makes an artefact in TorchScript; `build.py` wraps it into a model
of metatomic, whose `forward` is `adapter.py`, with the labels of `samples.py`. `extension.py` gives
the library of its kernels, `engine.py` is the interface to `mhff compile`. May import `mhff` and
`mhff_deploy`; knows no other adapter. Only `build.py`, `adapter.py` and `samples.py` import
metatomic.
"""
