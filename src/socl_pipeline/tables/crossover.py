"""How many hours of one annotation give what many hours of another give."""

from collections.abc import Mapping, Sequence

import numpy as np

Curve = Sequence[tuple[float, float]]
"""(hours, score) of a row, in any order."""


def hours_to_reach(curve: Curve, score: float) -> float | None:
    """Return the hours at which a curve first reaches a score; None if it does not.

    Between its points the score is taken to grow with the logarithm of the hours. A curve that
    begins above the score reaches it at its first point, or with less.
    """
    points = sorted(curve)
    for (left, low), (right, high) in zip(points[:1] + points, points, strict=False):
        if high >= score:
            if low >= score or high == low:
                return left if low >= score else right
            share = (score - low) / (high - low)
            return float(np.exp(np.log(left) + share * (np.log(right) - np.log(left))))
    return None


def crossover_sentences(curves: Mapping[str, Curve], what: str) -> list[str]:
    """Return how many hours each row needs for the best of the first row.

    curves: by row. what: whose scores by which metric, such as `paper: AUC on OTB15`. Rows of one
    point, which are no curves, are left out.
    """
    rows = {row: sorted(curve) for row, curve in curves.items() if len(curve) > 1}
    if len(rows) < 2:
        return []
    (first, base), *others = rows.items()
    hours, best = max(base, key=lambda point: point[1])
    sentences = []
    for row, curve in others:
        reached = hours_to_reach(curve, best)
        if reached is None:
            answer = f"does not within {curve[-1][0]:g} h"
        else:
            fewer = "or less " if reached == curve[0][0] else ""
            ratio = f"{hours / reached:.2g}"
            cheaper = "" if ratio == "1" else f"({ratio} times as cheap)"
            answer = f"reaches it with {reached:.3g} h {fewer}{cheaper}".rstrip()
        sentences.append(f"{what}: {first} has {best:.1f} with {hours:g} h; {row} {answer}.")
    return sentences
