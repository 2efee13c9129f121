"""Manifests and the readers of each layout; the only place where 1-based becomes 0-based."""
