"""Writes vot_overlaps.json and vot_runs.json: what VOT's own software says of simulated data.

Run it in an environment of its own, as vot-toolkit brings an OpenCV that would take the place of
ours (attributee 0.1.10 breaks vot-toolkit 0.9.0):

    python -m venv vot
    vot/bin/pip install vot-toolkit==0.9.0 attributee==0.1.9
    vot/bin/python tests/benchmarks/golden/make_vot.py

The files say which versions made them. Regions are x, y, w, h or four corners as they stand in
VOT's files; the state of a frame is 0 tracked, 1 started, 2 failed, 3 skipped. Overlaps come from
the compiled region library of TraX (flag 0 and 1) and from vot-toolkit, scores from the latter's
analyses of supervised experiments.
"""

import ctypes
import json
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import trax
from vot.analysis.supervised import (
    AccuracyRobustness,
    AverageAccuracyRobustness,
    EAOCurve,
    EAOScore,
)
from vot.experiment.multirun import SupervisedExperiment
from vot.region import Special
from vot.region.raster import calculate_overlap
from vot.region.shapes import Polygon, Rectangle
from vot.utilities.data import Grid

FOLDER = Path(__file__).parent
SIZE = (96, 72)
INTERVAL = (12, 30)
BURN_IN = 10
LEGACY = 1  # TraX: REGION_LEGACY_RASTERIZATION
VERSIONS = {name: version(name) for name in ("vot-toolkit", "vot-trax", "attributee", "numpy")}


class Bounds(ctypes.Structure):
    _fields_ = [(n, ctypes.c_float) for n in ("top", "bottom", "left", "right")]


class Overlap(ctypes.Structure):
    _fields_ = [(n, ctypes.c_float) for n in ("overlap", "only1", "only2")]


library = ctypes.CDLL(str(Path(trax.__file__).parent / "libtrax.so"))
library.region_parse.argtypes = [ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p)]
library.region_compute_overlap.restype = Overlap
library.region_compute_overlap.argtypes = [ctypes.c_void_p, ctypes.c_void_p, Bounds]


def trax_overlap(first, second, legacy):
    (library.region_set_flags if legacy else library.region_clear_flags)(LEGACY)
    handles = []
    for region in (first, second):
        # this TraX takes a pixel off each side of a box, that of VOT2016 to VOT2018 did not
        # (https://github.com/votchallenge/toolkit-legacy/issues/202): corners make it clear
        text = ",".join(repr(float(v)) for v in (region if legacy else outline(region)))
        handles.append(ctypes.c_void_p())
        assert library.region_parse(text.encode(), ctypes.byref(handles[-1]))
    width, height = SIZE
    bounds = Bounds(top=0, left=0, bottom=height - 1, right=width - 1)
    return library.region_compute_overlap(*handles, bounds).overlap


def outline(region):
    if len(region) == 8:
        return region
    (x, y), (right, bottom) = (
        np.float32(region[:2]),
        np.float32(region[:2]) + np.float32(region[2:]),
    )
    return [x, y, right, y, right, bottom, x, bottom]


def shape(region):
    if len(region) == 4:
        return Rectangle(*region)
    return Polygon(list(zip(region[::2], region[1::2], strict=True)))


def rotated(rng, centre, sides, angle, digits):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * sides / 2 @ turn.T + centre
    return corners.ravel().round(digits).tolist()


def any_region(rng):
    centre, digits = rng.uniform(-5, np.add(SIZE, 5)), int(rng.integers(0, 4))
    sides = rng.uniform(1.5, rng.choice([8, 40, 120]), 2)
    if rng.random() < 0.5:
        return rotated(rng, centre, sides, rng.uniform(0, 2 * np.pi), digits)
    return np.concatenate([centre - sides / 2, sides]).round(digits).tolist()


def overlap_rows(rng, count):
    rows = []
    while len(rows) < count:
        first, second = any_region(rng), any_region(rng)
        rounded = trax_overlap(first, second, legacy=False)
        if rounded == 0 and rng.random() < 0.9:
            continue
        toolkit = float(calculate_overlap(shape(first), shape(second), SIZE))
        rows.append([first, second, rounded, trax_overlap(first, second, legacy=True), toolkit])
    return rows


def truth_of(rng, length):
    centre, sides, angle = rng.uniform(25, 50, 2), rng.uniform(12, 25, 2), rng.uniform(0, 3)
    speed, spin = rng.uniform(-1, 1, 2), rng.uniform(-0.05, 0.05)
    return [rotated(rng, centre + i * speed, sides, angle + i * spin, 2) for i in range(length)]


def run_of(rng, truth, loss, lost_at=None):
    """Return states and boxes of a tracker that drifts and is lost now and then."""
    states, boxes = [], []
    restart, drift = 0, np.zeros(2)
    for index, region in enumerate(truth):
        corners = np.reshape(region, (4, 2))
        box = np.concatenate([corners.min(0), np.ptp(corners, axis=0)])
        running = bool(states) and states[-1] in (0, 1)
        if running:
            state = 2 if rng.random() < loss or index == lost_at else 0
            restart = index + 5
            drift += rng.normal(0, 1.2, 2)
            box[:2] += drift
            box[2:] *= rng.uniform(0.7, 1.3, 2)
        else:
            state = 1 if index >= restart else 3
            drift = np.zeros(2)
        states.append(state)
        boxes.append(box.round(2).tolist() if state in (0, 1) else None)
    return {"states": states, "boxes": boxes}


class Sequence:
    def __init__(self, name, truth):
        self.name, self.size = name, SIZE
        self._truth = [shape(region) for region in truth]

    def __len__(self):
        return len(self._truth)

    def groundtruth(self, index=None):
        return self._truth if index is None else self._truth[index]


class Trajectory(list):
    def regions(self):
        return list(self)


class Experiment(SupervisedExperiment):
    def __init__(self, runs):
        self.runs = runs

    def gather(self, tracker, sequence, **_):
        return self.runs[sequence.name]


def trajectory(run):
    codes = {1: 1, 2: 2, 3: 0}  # those of VOT's files
    return Trajectory(
        shape(box) if state == 0 else Special(codes[state])
        for state, box in zip(run["states"], run["boxes"], strict=True)
    )


def scores_of(data):
    sequences = [Sequence(name, entry["truth"]) for name, entry in data.items()]
    runs = {name: [trajectory(r) for r in entry["runs"]] for name, entry in data.items()}
    experiment = Experiment(runs)
    single = AccuracyRobustness(burnin=BURN_IN)
    rows = [single.subcompute(experiment, None, s, []) for s in sequences]
    grid = Grid(1, len(rows))
    for index, row in enumerate(rows):
        grid[0, index] = row
    average = AverageAccuracyRobustness().aggregate(None, sequences, grid)
    curve = EAOCurve().subcompute(experiment, None, sequences, [])
    curves = Grid(1, 1)
    curves[0, 0] = curve
    low, high = INTERVAL
    eao = EAOScore(low=low, high=high).compute(
        experiment, [SimpleNamespace(identifier="simulated")], sequences, [curves]
    )
    return {
        "accuracy": float(average[0]),
        "robustness": float(average[1]),
        "eao": float(np.ravel(eao[0, 0])[0]),
        "eao_curve": [float(v) for v in np.ravel(curve[0])],
        "sequences": {
            s.name: {
                "accuracy": float(r[0]),
                "failures": float(r[1]),
                "reliability": float(r[2][0]),
            }
            for s, r in zip(sequences, rows, strict=True)
        },
    }


def main():
    rng = np.random.default_rng(7)
    overlaps = {"versions": VERSIONS, "size": SIZE, "rows": overlap_rows(rng, 150)}
    data = {}
    for index, length in enumerate((48, 31, 22, 40)):
        truth = truth_of(rng, length)
        repetitions = 1 if index == 2 else 3
        runs = [run_of(rng, truth, loss=0 if index == 1 else 0.08) for _ in range(repetitions)]
        data[f"simulated_{index}"] = {"truth": truth, "runs": runs}
    # lost with no room left for another start
    data["simulated_3"]["runs"][0] = run_of(rng, data["simulated_3"]["truth"], 0, lost_at=38)
    runs = {
        "versions": VERSIONS,
        "size": SIZE,
        "eao_interval": INTERVAL,
        "burn_in": BURN_IN,
        "sequences": data,
        "scores": scores_of(data),
    }
    for name, content in (("vot_overlaps", overlaps), ("vot_runs", runs)):
        (FOLDER / f"{name}.json").write_text(json.dumps(content) + "\n")


main()
