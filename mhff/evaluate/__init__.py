"""Predictions for labelled structures, and the errors in them: numbers, tables and plots."""
