"""The VOT challenge: supervised runs with restarts, accuracy, robustness, expected overlap."""
