"""Labelled structures: reading, splitting, statistics and batches; no network is needed here."""
