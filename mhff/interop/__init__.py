"""Models of other programs: their files are read as data and never run.

`torchfile` reads any file that `torch.save` wrote; `mace` turns those of mace-torch into models.
Imports run one way, from `mace` to `torchfile`. Start at `mace/importer.py`.
"""
