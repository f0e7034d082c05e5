"""`mhff bench`: time and memory per step against system size, of our engines and of peers.

A contender is one way to evaluate a model: an engine, a form of the program, a precision. Each
lives in a process of its own (`workers/`), which answers requests and times itself, so that any
interpreter can take part. `benchmark.py` lets them take turns (`turns.py`) and makes a report;
`statistics.py` says what the times mean, `count.py` counts what a step must compute, `peers.py`
says how others are run. Adapters contribute their engines through entry points.
"""
