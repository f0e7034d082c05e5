"""The report of a run: the errors of its best model, written to files and into the model."""
