"""Figures of benchmarks and trainings: plain data in, a matplotlib figure out."""
