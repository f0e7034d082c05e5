"""Import of mace-torch's models: their files are read as data, never run."""
