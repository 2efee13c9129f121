"""Score a tracker by VOT's supervised protocol (`protocols.Protocol.score`)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks.tracks import TRACKED, Score, Track, TrackerScore
from socl_pipeline.benchmarks.vot import measures
from socl_pipeline.benchmarks.vot.constants import vot_constants
from socl_pipeline.benchmarks.vot.conventions import CONVENTIONS, VotConvention
from socl_pipeline.benchmarks.vot.raster import overlaps
from socl_pipeline.benchmarks.vot.regions import in_files, truth_regions
from socl_pipeline.datasets.manifest import Manifest, VotConstants
from socl_pipeline.datasets.video import Video
from socl_pipeline.errors import InputError

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Sequence:
    """The runs over a sequence of `length` frames: states, and overlaps for both purposes."""

    length: int
    states: list[NDArray[np.int8]]
    for_accuracy: list[Float]
    for_curve: list[Float]


def score(
    manifest: Manifest, videos: Sequence[Video], tracks: Mapping[str, Track], convention: str
) -> TrackerScore:
    """Score a tracker's runs with restarts.

    Raises InputError if the manifest has no interval of lengths for the EAO, or if a run does not
    fit its truth or does not say where the tracker was started.
    """
    constants = vot_constants(manifest)
    rules = CONVENTIONS[convention]
    sequences = {v.name: _measured(v, tracks[v.name], rules) for v in videos}
    single = {name: _score([s], constants, rules) for name, s in sequences.items()}
    every = list(sequences.values())
    overall = _score(every, constants, rules)
    curve = _curve(every, constants, rules)
    eao = measures.expected_average_overlap(curve, constants.eao_interval, rules)
    values = {"eao": eao, **overall.values}
    return TrackerScore(Score(values, {"eao_curve": curve}, overall.frames), single)


def _measured(video: Video, track: Track, rules: VotConvention) -> _Sequence:
    truth = in_files(truth_regions(video))
    size = video.width - 1, video.height - 1
    margin = rules.accuracy_margin
    larger = size[0] + margin, size[1] + margin
    curves, accuracies = [], []
    for run in track.runs:
        if len(run.boxes) != len(truth):
            raise InputError(
                f"{video.name}: {len(run.boxes)} boxes, its truth has {len(truth)} regions"
            )
        if run.states[:1] == TRACKED:
            raise InputError(
                f"{video.name}: a box in the first frame where VOT's runs have the code of a start "
                "(1); score results without restarts under protocol ope"
            )
        boxes = in_files(run.boxes)
        curves.append(overlaps(boxes, truth, size, rules.raster))
        accuracies.append(overlaps(boxes, truth, larger, rules.raster) if margin else curves[-1])
    return _Sequence(len(truth), [r.states for r in track.runs], accuracies, curves)


def _score(sequences: Sequence[_Sequence], constants: VotConstants, rules: VotConvention) -> Score:
    frames = [
        [
            measures.accuracy_frames(o, states, constants.burn_in)
            for o, states in zip(s.for_accuracy, s.states, strict=True)
        ]
        for s in sequences
    ]
    failed = [measures.failures(s.states) for s in sequences]
    lengths = [s.length for s in sequences]
    values = {
        "accuracy": measures.pooled_accuracy(frames, rules),
        "robustness": measures.robustness(failed, lengths, rules),
        "failures": sum(failed),
        "reliability": measures.reliability(failed, lengths, constants.sensitivity),
    }
    return Score(values, {}, sum(lengths))


def _curve(sequences: Sequence[_Sequence], constants: VotConstants, rules: VotConvention) -> Float:
    parts, weights = [], []
    for sequence in sequences:
        share = 1 / len(sequence.states) if rules.weighting == "repetitions" else 1.0
        for overlap, states in zip(sequence.for_curve, sequence.states, strict=True):
            own = measures.fragments(overlap, states, constants.skip, rules)
            parts += own
            own_weights = measures.fragment_weights(own, states, constants.skip, rules)
            weights += [share * weight for weight in own_weights]
    longest = max(s.length for s in sequences)
    if rules.closing == "always":  # vot-toolkit: failures count up to the longest fragment
        longest = max([1, *(len(values) for values, _ in parts)])
    return measures.expected_overlap_curve(parts, weights, longest)
