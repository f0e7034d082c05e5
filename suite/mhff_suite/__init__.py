"""`mhff suite`: benchmarks of every head over molecules, crystals and surfaces, without a network.

A task (`protocol.py`) computes quantities with one head and compares them with references; each is
a module in `tasks/`. `runner.py` runs tasks in worker processes and keeps what is finished.
`physics/` computes quantities with any potential, `references/` reads what other packages ship,
and `page/` makes the page of HTML.
"""
