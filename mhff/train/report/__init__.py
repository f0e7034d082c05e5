"""The report of a run: the errors of its best model, its curves, its card; as HTML, JSON, CSV."""
