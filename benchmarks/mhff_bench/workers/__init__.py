"""Processes that hold one contender each.

`serving.py` is their common part. Nothing here imports mhff: these files run in the interpreters of
peers. `own_worker.py`, one folder up, runs our own engines.
"""
