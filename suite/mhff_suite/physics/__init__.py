"""Quantities of molecules and crystals, computed with any potential."""
