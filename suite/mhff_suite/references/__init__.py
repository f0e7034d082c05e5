"""Readers of reference data that other packages ship."""
