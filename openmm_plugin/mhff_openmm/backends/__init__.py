"""Backends: the kinds of OpenMM force that evaluate a model, one module for each.

`choice.py` picks one. Each makes a force from a `mhff_openmm.definition.ForceDefinition`, and all
give the same numbers.
"""
