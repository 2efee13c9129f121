"""Writes got10k.json: what the GOT-10k toolkit says of drawn tracks, beside the tracks themselves.

    python -m venv got10k
    got10k/bin/pip install got10k==0.1.3 six==1.17.0
    got10k/bin/python tests/benchmarks/golden/make_got10k.py

The toolkit needs an environment of its own; numpy 2.4, shapely 2.2 and matplotlib 3.11 served.
Numbers are those of its files: 1-based for OTB and UAV123, three decimals of a result.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
from got10k.experiments import ExperimentGOT10k, ExperimentOTB, ExperimentUAV123

WIDTH, HEIGHT = 320, 240
LENGTHS = {"long": 40, "short": 12, "middle": 25}
TRACKERS = {"near": 3, "far": 12}


class Sequences:
    """Stands for a dataset of the toolkit: names, and truth without images."""

    def __init__(self, truth, meta=None):
        self.truth, self.meta = truth, meta
        self.seq_names = list(truth)

    def __len__(self):
        return len(self.seq_names)

    def __getitem__(self, index):
        name = self.seq_names[index] if isinstance(index, int) else index  # IndexError ends a loop
        truth = self.truth[name].copy()  # the toolkit clips in place
        return (None, truth) if self.meta is None else (None, truth, self.meta[name])


def draw_truth(rng, frames):
    """Return boxes that leave the image now and then, in halves of a pixel."""
    corners = rng.uniform(-20, 200, 2) + np.cumsum(rng.normal(0, 6, (frames, 2)), axis=0)
    sides = rng.uniform(20, 90, 2) * np.exp(np.cumsum(rng.normal(0, 0.03, (frames, 2)), axis=0))
    return np.round(2 * np.concatenate([corners, sides], axis=1)) / 2


def draw_track(rng, truth, noise):
    """Return a result for drawn truth; a box in ten is without area."""
    track = truth + rng.normal(0, noise, truth.shape)
    track[:, 2:] = np.maximum(track[:, 2:], 1)
    track[rng.random(len(track)) < 0.1, 2] = 0
    return np.round(track, 3)


def experiment(kind, folder, truth, meta=None):
    """Return an experiment without its dataset on disk, and without plots."""
    made = object.__new__(kind)
    made.dataset = Sequences(truth, meta)
    made.result_dir, made.report_dir = str(folder), str(folder / "reports")
    made.nbins_iou, made.nbins_ce, made.subset = 21, 51, "val"
    made.plot_curves = lambda *_: None
    return made


def one_pass(kind, truth, tracks):
    """Return the report of an OTB-like experiment."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for tracker, found in tracks.items():
            (folder / tracker).mkdir()
            for name, boxes in found.items():
                np.savetxt(folder / tracker / f"{name}.txt", boxes, fmt="%.3f", delimiter=",")
        return experiment(kind, folder, truth).report(list(tracks))


def pooled(truth, cover, tracks):
    """Return the report of a GOT-10k experiment; tracks: of each tracker, its repetitions."""
    meta = {n: {"cover": cover[n], "resolution": str((WIDTH, HEIGHT))} for n in truth}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for tracker, found in tracks.items():
            for name, runs in found.items():
                place = folder / tracker / name
                place.mkdir(parents=True)
                for i, boxes in enumerate(runs, start=1):
                    np.savetxt(place / f"{name}_{i:03d}.txt", boxes, fmt="%.3f", delimiter=",")
                np.savetxt(place / f"{name}_time.txt", np.ones(len(truth[name])))
        return experiment(ExperimentGOT10k, folder, truth, meta).report(list(tracks))


def plain(value):
    """Return arrays as lists, NaN as None, for JSON."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, np.ndarray)):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and np.isnan(value) else np.asarray(value).item()


def main():
    """Draw, evaluate and write."""
    rng = np.random.default_rng(20)
    truth = {name: draw_truth(rng, n) for name, n in LENGTHS.items()}
    tracks = {
        t: {n: draw_track(rng, b, px) for n, b in truth.items()} for t, px in TRACKERS.items()
    }
    hidden = {name: boxes.copy() for name, boxes in truth.items()}
    for boxes in hidden.values():
        boxes[5:8] = np.nan
    cover = {name: rng.integers(0, 9, n) for name, n in LENGTHS.items()}
    repeated = {
        t: {n: [draw_track(rng, b, px) for _ in range(1 + i)] for n, b in truth.items()}
        for i, (t, px) in enumerate(TRACKERS.items())
    }
    golden = {
        "truth": truth,
        "hidden": hidden,
        "tracks": tracks,
        "size": [WIDTH, HEIGHT],
        "cover": cover,
        "repeated": repeated,
        "otb": one_pass(ExperimentOTB, truth, tracks),
        "uav": one_pass(ExperimentUAV123, hidden, tracks),
        "got10k": pooled(truth, cover, repeated),
    }
    file = Path(__file__).with_name("got10k.json")
    file.write_text(json.dumps(plain(golden), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
