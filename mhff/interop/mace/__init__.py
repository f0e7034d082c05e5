"""The import of mace-torch's models: the same numbers, without mace-torch.

Start at `importer`. `reading` hands out the file's tensors and settings and remembers which were
used, `parts` lists the classes and settings that a model may have, `architecture`, `constants` and
`weights` take the model from the file, `heads` and `published` describe its heads.

May import `torchfile` and mhff's model; nothing imports this room but the command line.
"""
