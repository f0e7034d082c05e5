"""One module for each task; `mhff_suite.registry` finds them."""
