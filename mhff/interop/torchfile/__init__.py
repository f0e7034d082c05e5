"""A safe reader of files that `torch.save` wrote: modules, tensors and plain values, never code.

Nothing in a file is imported, called or unpickled. In the order of reading: `archive` checks the
container, `opcodes` interprets the pickle into the inert values of `pickled`, `names` refuses names
that do not belong, `tensors` and `values` make tensors and plain Python values, `modules` puts them
together as a tree of module records. A file that is not read raises a `RefusedError` (`refusals`).

May import torch and `mhff.errors`. Knows no library whose models are in the files. Start at
`modules.py`.
"""
