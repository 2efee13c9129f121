"""Points: where they come from, how noisy they are, what they cost."""
