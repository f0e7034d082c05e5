"""Processes that hold one contender each. `serving.py` is what they have in common; it and
`peer.py` import no mhff.
"""
