"""Training data: labelled structures from extended XYZ, reference energies, statistics, a split,
batches of graphs.
"""
