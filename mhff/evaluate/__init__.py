"""Evaluation: predictions against labels, error tables, parity plots."""
