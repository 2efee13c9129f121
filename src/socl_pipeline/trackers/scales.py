"""Choosing among search scales."""

from collections.abc import Sequence


def highest(scores: Sequence[float]) -> int:
    """Return the index of the highest of an odd number of scores; ties go to the middle scale."""
    middle = len(scores) // 2
    return max(range(len(scores)), key=lambda k: (scores[k], -abs(k - middle)))
