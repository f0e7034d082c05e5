"""Free energies and averages at levels of theory that were not sampled, through pymbar."""
