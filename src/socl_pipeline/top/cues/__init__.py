"""Objectness cues of windows: saliency, colour contrast, edge density."""
