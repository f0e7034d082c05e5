"""Training: settings, start, loss, optimiser, and runs that continue after an interruption."""
