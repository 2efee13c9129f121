"""Naive Bayes over the cues: tables of log likelihood ratios, fitted and stored as JSON."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.top.cues import CUES
from socl_pipeline.top.data import objectness_file

Float = NDArray[np.floating]

POSITIVE_IOU = 0.5  # a window is an object at this overlap (pascalThreshold of the release)
BINS = 24
FORMAT = "socl-objectness-1"


@dataclass(frozen=True)
class ObjectnessModel:
    """For each cue: bin edges (b - 1,) and ln p(bin | object) / p(bin | background) (b,)."""

    edges: dict[str, Float]
    log_ratio: dict[str, Float]
    prior: float
    provenance: str

    def posterior(self, cues: Float) -> Float:
        """Return the probability (n,) that windows with cues (n, 3) hold an object."""
        evidence = np.full(len(cues), np.log(self.prior / (1 - self.prior)))
        for i, cue in enumerate(CUES):
            _add_log_ratio(cues[:, i], self.edges[cue], self.log_ratio[cue], evidence)
        return 1 / (1 + np.exp(-evidence))

    def to_json(self) -> str:
        """Return the model as JSON of a few kilobytes."""
        tables = {
            cue: {
                "edges": np.round(self.edges[cue], 5).tolist(),
                "log_ratio": np.round(self.log_ratio[cue], 4).tolist(),
            }
            for cue in CUES
        }
        content = {
            "format": FORMAT,
            "provenance": self.provenance,
            "prior": round(self.prior, 5),
            "cues": tables,
        }
        return json.dumps(content, indent=1) + "\n"


@njit(cache=True)
def _add_log_ratio(values: Float, edges: Float, log_ratio: Float, evidence: Float) -> None:
    """Add to evidence (n,) the log ratios (b,) of the bins of values (n,), cut by edges (b - 1,).

    A value's bin is the number of edges not above it: counting so few needs no branches.
    """
    for i in range(len(values)):
        position = 0
        for edge in edges:
            position += values[i] >= edge
        evidence[i] += log_ratio[position]


def fit_objectness(cues: Float, is_object: NDArray[np.bool_], provenance: str) -> ObjectnessModel:
    """Fit the tables on windows with cues (n, 3) and labels (n,): quantile bins, +1 smoothing."""
    if not 0 < is_object.mean() < 1:
        raise ValueError("the windows must hold both objects and background to learn from")
    edges: dict[str, Float] = {}
    log_ratio: dict[str, Float] = {}
    for i, cue in enumerate(CUES):
        quantiles = np.quantile(cues[:, i], np.arange(1, BINS) / BINS)
        edges[cue] = np.unique(quantiles[quantiles > cues[:, i].min()])  # no empty first bin
        bins = np.searchsorted(edges[cue], cues[:, i], side="right")
        size = len(edges[cue]) + 1
        positive = np.bincount(bins[is_object], minlength=size) + 1.0
        negative = np.bincount(bins[~is_object], minlength=size) + 1.0
        log_ratio[cue] = np.log(positive / positive.sum()) - np.log(negative / negative.sum())
    return ObjectnessModel(edges, log_ratio, float(is_object.mean()), provenance)


def load_objectness(path: Path | None = None) -> ObjectnessModel:
    """Read fitted tables; None: the shipped ones, fitted on procedural scenes.

    Raises InputError if the file is not such a model.
    """
    source = objectness_file(path)
    try:
        raw = json.loads(source.read_text())
        if raw["format"] != FORMAT:
            raise InputError(f"{source}: format {raw['format']!r}, expected {FORMAT!r}")
        tables = {cue: raw["cues"][cue] for cue in CUES}
        edges: dict[str, Float] = {
            cue: np.array(t["edges"], np.float64) for cue, t in tables.items()
        }
        ratio: dict[str, Float] = {
            cue: np.array(t["log_ratio"], np.float64) for cue, t in tables.items()
        }
        for cue in CUES:
            if len(ratio[cue]) != len(edges[cue]) + 1:
                raise InputError(f"{source}: cue {cue} needs one more log_ratio than edges")
        return ObjectnessModel(edges, ratio, float(raw["prior"]), str(raw["provenance"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: not a fitted objectness model ({error!r})") from None
