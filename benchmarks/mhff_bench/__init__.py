"""`mhff bench`: time and memory per step against system size, of our engines and of peers, measured
in turns.

A contender is one way to evaluate a model: an engine, a form of the program, a precision. Each
lives in a process of its own
(`workers/`), which answers requests and times itself, so that any interpreter can take part.
`turns.py` lets them take turns, `statistics.py` says what the times mean, `count.py` counts what
a step must compute. The components contribute their engines by the entry-point group
`mhff.benches`.
"""
