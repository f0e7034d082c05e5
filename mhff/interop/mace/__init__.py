"""The import of mace-torch's models: the same numbers, without mace-torch.

`importer` tells the whole story. `reading` hands out the file's tensors and settings and remembers
which were used, `parts` lists what a model may consist of, `architecture`, `constants` and
`weights` take the model from the file, `heads` and `published` say what its heads are.

May import `torchfile` and mhff's model; nothing imports this room but the command line.
"""
