"""Models of other programs: their files are read as data and never run.

`torchfile` reads files that `torch.save` wrote, whatever is in them; `mace` makes a model of those
that mace-torch wrote. Imports run one way, from `mace` to `torchfile`. Start at `mace/importer.py`.
"""
