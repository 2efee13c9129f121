"""Benchmark protocols and metrics."""
