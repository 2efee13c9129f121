"""Naive Bayes over the cues: tables of log likelihood ratios, fitted and stored as JSON."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numba import njit
from numpy.typing import NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.top.cues.image import CUES, CueSettings
from socl_pipeline.top.objectness.data import objectness_file

Float = NDArray[np.floating]
Provenance = dict[str, str | int | float]

POSITIVE_IOU = 0.5  # a window is an object at this overlap (pascalThreshold of the release)
BINS = 24
FORMAT = "socl-objectness-2"
SIZE = "size"  # the cue beside CUES: log of the window's side over the frame's
THETAS = ("ms_scales", "ms_thresholds", "cc_theta", "ed_theta")  # of CueSettings, kept in the JSON


@dataclass(frozen=True)
class ObjectnessModel:
    """For each cue: bin edges (b - 1,) and ln p(bin | object) / p(bin | background) (b,).

    edges, log_ratio: by cue, of any of CUES and SIZE; a cue without a table is not used.
    prior: probability of an object. provenance: what the tables were learnt from; `source` at
    least. thetas: the constants with which the cues must be computed.
    """

    edges: dict[str, Float]
    log_ratio: dict[str, Float]
    prior: float
    provenance: Provenance
    thetas: CueSettings = field(default_factory=CueSettings)

    @property
    def cues(self) -> tuple[str, ...]:
        """The cues that have a table, in the order of CUES, SIZE last."""
        return tuple(cue for cue in (*CUES, SIZE) if cue in self.log_ratio)

    def posterior(self, cues: Float, log_side: Float | None = None) -> Float:
        """Return the probability (n,) that windows with cues (n, 3) hold an object.

        log_side: `relative_log_side` (n,) of the windows; only a table of sizes needs it.
        """
        columns = cue_columns(cues, log_side)
        evidence = np.full(len(cues), np.log(self.prior / (1 - self.prior)))
        for cue in self.cues:
            _add_log_ratio(columns[cue], self.edges[cue], self.log_ratio[cue], evidence)
        return 1 / (1 + np.exp(-evidence))

    def to_json(self) -> str:
        """Return the model as JSON of a few kilobytes."""
        tables = {
            cue: {
                "edges": np.round(self.edges[cue], 5).tolist(),
                "log_ratio": np.round(self.log_ratio[cue], 4).tolist(),
            }
            for cue in self.cues
        }
        content = {
            "format": FORMAT,
            "provenance": self.provenance,
            "thetas": {name: getattr(self.thetas, name) for name in THETAS},
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


def cue_columns(cues: Float, log_side: Float | None = None) -> dict[str, Float]:
    """Return cues (n, 3), and sizes (n,) if given, by name."""
    columns: dict[str, Float] = {cue: cues[:, i] for i, cue in enumerate(CUES)}
    return columns if log_side is None else columns | {SIZE: log_side}


def relative_log_side(windows: Float, width: float, height: float) -> Float:
    """Return ln of the root of the share (n,) that windows (n, 4) have of a frame's area."""
    return np.log(windows[:, 2] * windows[:, 3] / (width * height)) / 2


def fit_objectness(
    cues: Float,
    is_object: NDArray[np.bool_],
    provenance: Provenance,
    log_side: Float | None = None,
    thetas: CueSettings | None = None,
) -> ObjectnessModel:
    """Fit the tables on windows with cues (n, 3) and labels (n,): quantile bins, +1 smoothing.

    log_side: (n,) sizes of the windows; given, a table of sizes is fitted too. thetas: with which
    the cues were computed. Raises InputError unless there are both objects and background.
    """
    if not 0 < is_object.mean() < 1:
        raise InputError(
            "the windows do not hold both objects and background to learn from; "
            "check that the boxes belong to the images, or give more of them"
        )
    edges: dict[str, Float] = {}
    log_ratio: dict[str, Float] = {}
    for cue, values in cue_columns(cues, log_side).items():
        edges[cue], log_ratio[cue] = fit_table(values, is_object)
    prior = float(is_object.mean())
    return ObjectnessModel(edges, log_ratio, prior, provenance, thetas or CueSettings())


def fit_table(values: Float, is_object: NDArray[np.bool_]) -> tuple[Float, Float]:
    """Return bin edges (b - 1,) and log likelihood ratios (b,) of one cue's values (n,)."""
    quantiles = np.quantile(values, np.arange(1, BINS) / BINS)
    edges = np.unique(quantiles[quantiles > values.min()])  # no empty first bin
    bins = np.searchsorted(edges, values, side="right")
    positive = np.bincount(bins[is_object], minlength=len(edges) + 1) + 1.0
    negative = np.bincount(bins[~is_object], minlength=len(edges) + 1) + 1.0
    return edges, np.log(positive / positive.sum()) - np.log(negative / negative.sum())


def load_objectness(
    path: Path | None = None, views: Literal["context", "frame"] = "context"
) -> ObjectnessModel:
    """Read fitted tables; None: those shipped for a kind of view, fitted on procedural scenes.

    Raises InputError if the file is not such a model.
    """
    source = objectness_file(path, views)
    try:
        raw = json.loads(source.read_text())
        if raw["format"] != FORMAT:
            raise InputError(
                f"{source}: format {raw['format']!r}, expected {FORMAT!r}; "
                "make the file with `socl fit-objectness`"
            )
        return _parsed(raw, source)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{source}: not a fitted objectness model ({error!r})") from None


def _parsed(raw: Mapping[str, Any], source: Path) -> ObjectnessModel:
    edges: dict[str, Float] = {}
    ratio: dict[str, Float] = {}
    for cue, table in raw["cues"].items():
        if cue not in (*CUES, SIZE):
            known = ", ".join((*CUES, SIZE))
            raise InputError(f"{source}: unknown cue {cue!r}; known: {known}")
        edges[cue] = np.array(table["edges"], np.float64)
        ratio[cue] = np.array(table["log_ratio"], np.float64)
        if len(ratio[cue]) != len(edges[cue]) + 1:
            raise InputError(f"{source}: cue {cue} needs one more log_ratio than edges")
        if not (np.isfinite(ratio[cue]).all() and (np.diff(edges[cue]) > 0).all()):
            raise InputError(f"{source}: cue {cue} needs rising edges and finite log_ratios")
    if not edges:
        raise InputError(f"{source}: there is no table in `cues`")
    prior = float(raw["prior"])
    if not 0 < prior < 1:
        raise InputError(f"{source}: prior {prior:g} is not between 0 and 1")
    if not isinstance(raw["provenance"]["source"], str):
        raise InputError(f"{source}: provenance.source is not a text")
    return ObjectnessModel(edges, ratio, prior, dict(raw["provenance"]), _thetas(raw, source))


def _thetas(raw: Mapping[str, Any], source: Path) -> CueSettings:
    scales, thresholds, cc, ed = (raw["thetas"][name] for name in THETAS)
    if len(scales) != len(thresholds) or not scales:
        raise InputError(f"{source}: thetas need one ms_threshold for each of the ms_scales")
    if not min(*scales, *thresholds, cc, ed) > 0:
        raise InputError(f"{source}: every theta must be greater than 0")
    return CueSettings(
        ms_scales=tuple(int(s) for s in scales),
        ms_thresholds=tuple(float(t) for t in thresholds),
        cc_theta=float(cc),
        ed_theta=float(ed),
    )
