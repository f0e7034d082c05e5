"""Training: settings, loss, optimiser, the Lightning module, runs that resume."""
