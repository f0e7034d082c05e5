"""The level of theory as a variable: which mhff forces a Context has, and their head energies."""
