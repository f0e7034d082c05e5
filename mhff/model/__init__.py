"""The model, one file per block of the paper.

`mace.py` holds the forward pass, `derivatives.py` the forces.
"""
