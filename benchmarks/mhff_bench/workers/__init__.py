"""Processes that hold one contender each.

`serving.py` is their common part; neither it nor `peer.py` imports mhff.
"""
