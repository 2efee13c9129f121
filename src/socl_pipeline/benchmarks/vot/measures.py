"""Accuracy, robustness and expected average overlap (EAO) of supervised runs.

Definitions: Kristan et al., "A Novel Performance Evaluation Methodology for Single-Target
Trackers", TPAMI 2016 (accuracy, robustness), and the VOT2015 report (EAO). A run is a vector of
overlaps and one of states (`benchmarks.tracks`), one number a frame. Overlaps of frames without a
box or without a true region are NaN.
"""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks.tracks import FAILED, INITIALISED, SKIPPED, TRACKED
from socl_pipeline.benchmarks.vot.conventions import VotConvention

Float = NDArray[np.float64]
States = NDArray[np.int8]


def accuracy_frames(overlap: Float, states: States, burn_in: int) -> Float:
    """Return the overlaps (n,) of a run, NaN where accuracy does not count.

    It counts where the tracker runs, from `burn_in` frames after each start on (the start is the
    first of them). A tracked frame without a box counts 0.
    """
    counts = states == TRACKED
    for start in np.flatnonzero(states == INITIALISED):
        counts[start : start + burn_in] = False
    return np.where(counts, np.nan_to_num(overlap, nan=0.0), np.nan)


def mean_known(values: Sequence[Float] | Float) -> Float:
    """Return the mean over the first axis without NaN; NaN where there is nothing else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.asarray(np.nanmean(np.asarray(values), axis=0))


def sequence_accuracy(frames: Sequence[Float], convention: VotConvention) -> float:
    """Return the accuracy of a sequence from the `accuracy_frames` of its runs, NaN without any.

    Pooled by sequences, each run has a mean (0 if no frame counts), and they are averaged; pooled
    by frames, each frame is averaged over the runs first.
    """
    if convention.pooling == "sequences":
        return float(np.mean([np.nan_to_num(mean_known(run)) for run in frames]))
    return float(mean_known(mean_known(frames)))


def pooled_accuracy(frames: Sequence[Sequence[Float]], convention: VotConvention) -> float:
    """Return the accuracy on a benchmark from the `accuracy_frames` of each sequence's runs."""
    if convention.pooling == "sequences":
        means = [sequence_accuracy(runs, convention) for runs in frames]
        return float(np.average(means, weights=[len(runs[0]) for runs in frames]))
    return float(mean_known(np.concatenate([mean_known(runs) for runs in frames])))


def failures(states: Sequence[States]) -> float:
    """Return how often a tracker failed in a sequence, averaged over its runs."""
    return float(np.mean([np.sum(run == FAILED) for run in states]))


def robustness(failed: Sequence[float], lengths: Sequence[int], convention: VotConvention) -> float:
    """Return the robustness from each sequence's failures and its length in frames."""
    if convention.robustness == "per_sequence":
        return float(np.average(failed, weights=lengths))
    return 100 * sum(failed) / sum(lengths)


def reliability(failed: Sequence[float], lengths: Sequence[int], sensitivity: float) -> float:
    """Return the chance that a tracker survives `sensitivity` frames: x of the AR plot.

    exp(-S F / N) with F failures in N frames, averaged over sequences by length where they are
    several.
    """
    return float(np.exp(-sensitivity * sum(failed) / sum(lengths)))


def fragments(
    overlap: Float, states: States, skip: int, convention: VotConvention
) -> list[tuple[Float, bool]]:
    """Split a run into its fragments: overlaps from a start on, and whether it ended in failure.

    The overlap of a frame without one is 0. A tracker that crashed when it was started has failed
    in that frame, and leaves a fragment without frames. skip: frames from a failure to the next
    start.
    """
    values = np.where(states == TRACKED, np.nan_to_num(overlap, nan=0.0), 0.0)
    idle = np.concatenate([[True], np.isin(states[:-1], (FAILED, SKIPPED))])
    starts = np.flatnonzero((states == INITIALISED) | ((states == FAILED) & idle)).tolist()
    found = []
    for start, end in zip(starts, [*starts[1:], len(values)], strict=True):
        failed = np.flatnonzero(states[start:end] == FAILED)
        if not len(failed):
            found.append((values[start:end], False))
        elif _closes(start + int(failed[0]), skip, len(values), convention):
            found.append((values[start : start + int(failed[0])], True))
        else:
            found.append((values[start:], False))
    return found


def fragment_weights(
    parts: Sequence[tuple[Float, bool]], states: States, skip: int, convention: VotConvention
) -> list[float]:
    """Return the weight of each of a run's `fragments` among those of its sequence.

    It is 1, but for one case: pysot-toolkit gives a fragment the share of its frames, up to and
    with the next start, that have a tag. If that start would be the frame after the last it has
    none, also under tag `all`, and is missed there: n / (n + 1) for a fragment of n frames.
    """
    weights = [1.0] * len(parts)
    lost = np.flatnonzero(states == FAILED)
    if convention.closing == "room" and len(lost) and lost[-1] + skip == len(states):
        frames = len(parts[-1][0]) + skip
        weights[-1] = frames / (frames + 1)
    return weights


def _closes(failure: int, skip: int, length: int, convention: VotConvention) -> bool:
    restart = failure + skip
    last = {"restart": length - 1, "room": length, "always": restart}[convention.closing]
    return restart <= last


def expected_overlap_curve(
    parts: Sequence[tuple[Float, bool]], weights: Sequence[float], length: int
) -> Float:
    """Return the expected average overlap (length,) over the first 1, 2, 3 ... frames.

    parts: `fragments`, each with a weight. Its average over n frames leaves out the start; after
    a failure the overlap is 0, and past the end of its sequence a fragment does not count. NaN
    where none counts. The value for a single frame, the start, is 1.
    """
    total, weight = np.zeros(length), np.zeros(length)
    tracked = np.arange(1, length)
    for (values, failed), share in zip(parts, weights, strict=True):
        whole = np.zeros(length)
        whole[: len(values)] = values
        shown = length if failed else len(values)
        total[1:shown] += share * (np.cumsum(whole[1:]) / tracked)[: shown - 1]
        weight[1:shown] += share
    curve = np.full(length, np.nan)
    np.divide(total, weight, out=curve, where=weight > 0)
    curve[0] = 1.0
    return curve


def expected_average_overlap(
    curve: Float, interval: tuple[int, int], convention: VotConvention
) -> float:
    """Return the mean of the curve over sequences of low to high frames, both included.

    NaN if no fragment is that long.
    """
    low, high = (end + convention.first_length for end in interval)
    return float(mean_known(curve[low - 1 : high]))
